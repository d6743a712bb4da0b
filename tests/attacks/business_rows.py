"""Rows B01 to B14: signed by the platform, and still not what was agreed (P4)."""
import concurrent.futures

from rows import EACH_CHANNEL, messages, row


@row("B01", "an order that nobody registered, until somebody does")
def unknown_order(case):
    for account in EACH_CHANNEL:
        number = case.site.fresh()
        message = case.site[account].pay(number)
        case.without_effect(message, None, "unknown_order", "unknown_order", account)
        case.require(case.site.call("GET", f"/v1/orders/{number}")[0] == 404, "an order was made")
        case.acked(message, "again")
        case.site.register(number)
        case.expect_state(number, "paid")
        case.expect_events(number, {"order.paid": 1})


@row("B02", "another currency, or hundredfold")
def other_money(case):
    for account in EACH_CHANNEL:
        for minor in (100, 1_000_000, 9999, 10001):
            number = case.site.register()
            case.without_effect(case.site[account].pay(number, minor), number, "quarantined",
                                "amount_mismatch", f"{account} {minor}")
    number = case.site.register(currency="USD")
    case.without_effect(case.site["alipay"].pay(number), number, "quarantined", "amount_mismatch",
                        "CNY for USD")
    number = case.site.register()
    dollars = case.site["alipay"].pay(number).set(trans_currency="USD")
    case.without_effect(dollars, number, "quarantined", "amount_mismatch", "USD for CNY")
    number = case.site.register(minor=100, currency="JPY")
    yen = case.site["wechat-v2"].pay(number, 10000).set(fee_type="JPY")
    case.without_effect(yen, number, "quarantined", "amount_mismatch", "yen have no decimals")
    number = case.site.register(minor=100, currency="JPY")
    case.pays(case.site["wechat-v2"].pay(number, 100).set(fee_type="JPY"), number, "100 yen")


@row("B03", "zero, negative, too large for a number")
def bounds(case):
    for account in EACH_CHANNEL:
        number = case.site.register()
        case.without_effect(case.site[account].pay(number, 0), number, "quarantined",
                            "amount_mismatch", f"{account} 0")
        number = case.site.register()
        most = 2**63 - 1
        case.without_effect(case.site[account].pay(number, most), number, "quarantined",
                            "amount_mismatch", f"{account} {most}")
    number, message = case.genuine("alipay")
    case.refused([(t, message.clone().set(total_amount=t)) for t in
                  ("-0.01", "92233720368547758.08", "9" * 40 + ".00", "-100.00", "-0.00")])
    _, message = case.genuine()
    case.refused([(t, message.clone().set(total_fee=t)) for t in
                  ("-1", "9223372036854775808", "9" * 40, "-0", "0x64", "1e4", "010000", "")])
    case.expect_state(number, "awaiting")
    for minor in (0, -1, 2**63, "10000", 1.5, None, True):
        case.inputs += 1
        code, _ = case.site.call("POST", "/v1/orders", {
            "merchant_order_id": case.site.fresh(),
            "expected": {"minor": minor, "currency": "CNY"}})
        case.require(code in (400, 422), f"an order of {minor} is registered: {code}")


@row("B04", "a part, then the rest")
def parts(case):
    for account in EACH_CHANNEL:
        number = case.site.register()
        for minor in (3000, 7000):
            case.without_effect(case.site[account].pay(number, minor), number, "quarantined",
                                "amount_mismatch", f"{account} {minor}")
            case.expect_state(number, "awaiting")


@row("B05", "a second payment of a paid order")
def paid_twice(case):
    for account in EACH_CHANNEL:
        number, message = case.genuine(account)
        case.pays(message, number, account)
        for other in EACH_CHANNEL:
            case.acked(case.site[other].pay(number), f"{account}, then {other}")
        order = case.site.order(number)
        told = [event["type"] for event in order["events"]]
        case.require(told.count("order.paid") == 1, f"told {told}")
        case.require(any(i["kind"] == "duplicate_payment" for i in order["incidents"]),
                     "no incident")
        case.require(order["order"]["paid"]["minor"] == 10000, f"paid {order['order']['paid']}")


@row("B06", "one payment for two orders")
def one_for_two(case):
    for account, field in (("alipay", "trade_no"), ("wechat-v2", "transaction_id"),
                           ("wechat", "transaction_id")):
        number, message = case.genuine(account)
        case.pays(message, number, account)
        other = case.site.register()
        second = case.site[account].pay(other)
        if account == "wechat":
            second.say(**{field: message.plain[field]})
        else:
            second.set(**{field: message.fields[field]})
        case.without_effect(second, other, "conflict", "conflict", account)
        case.expect_state(other, "awaiting")


@row("B07", "paid through an account that the order does not name")
def wrong_channel(case):
    for named, paid in (("wechat", "alipay"), ("alipay", "wechat-v2"), ("wechat-v2", "wechat")):
        number = case.site.register(attempts=[named])
        case.without_effect(case.site[paid].pay(number), number, "unknown_order", "unknown_order",
                            f"{paid} for {named}")
        case.expect_state(number, "awaiting")


@row("B08", "the order of another merchant")
def wrong_tenant(case):
    site = case.site
    for account in EACH_CHANNEL:
        number = site.register(merchant="shop-b")
        # Ours and genuine, but about a number that only the other one has.
        case.without_effect(site[account].pay(number), None, "unknown_order", "unknown_order",
                            account)
        case.expect_state(number, "awaiting", "shop-b")
        # The other one's, sent to us.
        theirs = site[account + "-b"].pay(number)
        with case.nothing_recorded():
            case.inputs += 1
            case.expect_refusal(site.post(theirs.to(f"/payment/{account}/callback")),
                                theirs.channel)
        case.expect_state(number, "awaiting", "shop-b")
        case.pays(theirs, number, "at its own address", "shop-b")
        case.require(site.call("GET", f"/v1/orders/{number}")[0] == 404, "it is ours as well")


@row("B09", "the refund comes before the payment")
def refund_first(case):
    number, message = case.genuine("wechat")
    payment = message.plain["transaction_id"]
    refund = case.site["wechat"].pay(number).refund(messages.wechat_id(number), 3000, payment)
    case.acked(refund, "refund")
    case.expect_state(number, "awaiting")
    case.acked(message, "payment")
    case.expect_state(number, "partially_refunded")
    case.require(case.site.order(number)["order"]["refunded"]["minor"] == 3000,
                 "the refund is lost")
    # Before anybody registered the order, too.
    number = case.site.fresh()
    message = case.site["wechat"].pay(number)
    payment = message.plain["transaction_id"]
    case.acked(case.site["wechat"].pay(number).refund(messages.wechat_id(number), 10000, payment))
    case.acked(message)
    case.site.register(number)
    case.expect_state(number, "refunded")


@row("B10", "many refunds at once, more than was paid")
def racing_refunds(case):
    number, message = case.genuine("wechat")
    case.pays(message, number)
    payment = message.plain["transaction_id"]
    refunds = [case.site["wechat"].pay(number).refund(messages.wechat_id(number + str(i)), 1000,
                                                      payment) for i in range(20)]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(case.site.post, refunds))
    case.inputs += len(refunds)
    for answer in answers:
        case.expect_ack(answer, message.channel)
    order = case.site.order(number)
    case.require(order["order"]["refunded"]["minor"] == 10000, f"{order['order']['refunded']}")
    case.require(order["order"]["state"] == "refunded", order["order"]["state"])
    case.require(any(i["kind"] == "refund_above_paid" for i in order["incidents"]), "no incident")


@row("B11", "paid after it was closed")
def paid_late(case):
    number = case.site.register(attempts=["alipay"])
    paid = case.site["alipay"].pay(number)
    closed = paid.clone().set(trade_status="TRADE_CLOSED", gmt_payment=None, notify_id="c" * 34)
    case.acked(closed, "closed")
    case.expect_state(number, "closed")
    case.acked(paid, "paid")
    case.expect_state(number, "paid")
    order = case.site.order(number)
    case.require(any(i["kind"] == "paid_after_close" for i in order["incidents"]), "no incident")
    told = [event["type"] for event in order["events"]]
    case.require(told.count("order.paid") == 1, f"told {told}")


@row("B12", "failed after it was paid")
def failed_late(case):
    number, message = case.genuine("wechat")
    case.pays(message, number)
    failure = case.site["wechat"].pay(number).say(trade_state="FAIL")
    failure.event_type = "TRANSACTION.FAIL"
    case.acked(failure.sign(), "v3")
    number, message = case.genuine()
    case.pays(message, number)
    case.acked(message.clone().set(result_code="FAIL"), "v2")
    number, message = case.genuine("alipay")
    case.pays(message, number)
    case.acked(message.clone().set(trade_status="TRADE_CLOSED", gmt_payment=None,
                                   notify_id="d" * 34), "alipay")
    case.expect_state(number, "paid")
    case.expect_events(number, {"order.paid": 1})


@row("B13", "numbers that differ in case, blanks or length")
def alike_numbers(case):
    site = case.site
    base = "Ab" + site.fresh()
    numbers = [base, base.lower(), base.upper(), base + " ", " " + base, base + "0", base[:-1],
               base + ".", base + "%20"]
    for number in numbers:
        site.register(number)
    for place, number in enumerate(numbers):
        case.pays(site["alipay" if place % 2 else "wechat"].pay(number), number, repr(number))
        for other in numbers[place + 1:]:
            case.expect_state(other, "awaiting")


@row("B14", "sandbox to live and back")
def environments(case):
    keys, site = case.site.keys, case.site
    number, message = case.genuine("alipay")
    sandbox = message.clone().sign(keys.alipay_next)
    case.refused([("alipay", sandbox),
                  ("its app too", message.clone().set(app_id="9021000000000001").sign(
                      keys.alipay_next))], {"signature_not_verified"})
    number_v3, message = case.genuine("wechat")
    case.refused([("wechat", message.clone().sign(keys.wechat_other)),
                  ("with its serial", message.with_header("Wechatpay-Serial",
                                                          site["wechat-b"].serial))])
    _, message = case.genuine()
    case.refused([("wechat-v2", message.clone().sign("sandbox0sandbox0sandbox0sandbox0"))])
    case.expect_state(number, "awaiting")
    case.expect_state(number_v3, "awaiting")


"""Rows A01 to A15: what Alipay signs, and what of it is ours."""
import hashlib

from cryptography.hazmat.primitives import hashes

from rows import messages, rig, row


def without_payment(case, message, number, label=""):
    """Acked at most as nothing to do; the order stays as it was."""
    state = case.site.state(number)
    case.without_effect(message, number, "nothing_to_do", label=label)
    case.expect_state(number, state)


@row("A01", "SHA-1 on an account of RSA2")
def downgraded(case):
    number, message = case.genuine("alipay")
    weak = message.clone()
    weak.fields["sign_type"] = "RSA"
    weak.sign(digest=hashes.SHA1())
    case.refused([("RSA and SHA-1", weak)], {"algorithm_not_allowed"})
    unnamed = message.clone()
    unnamed.fields.pop("sign_type")
    case.refused([("SHA-1 without sign_type", unnamed.clone().sign(digest=hashes.SHA1())),
                  ("RSA2 over SHA-1", message.clone().sign(digest=hashes.SHA1()))],
                 {"signature_not_verified"})
    renamed = message.spoiled(sign_type="RSA")
    case.refused([("the name alone", renamed)], {"algorithm_not_allowed"})
    case.expect_state(number, "awaiting")


@row("A02", "MD5 with a guessed key")
def md5(case):
    _, message = case.genuine("alipay")
    message.fields["sign_type"] = "MD5"
    inputs = []
    for guess in ("", "key", "12345678901234567890123456789012", message.account.app_id):
        digest = hashlib.md5(message.signing_text() + guess.encode())
        inputs += [(guess, message.with_signature(digest.hexdigest())),
                   (guess, message.with_signature(digest.digest()))]
    case.refused(inputs, {"algorithm_not_allowed"})


@row("A03", "sign_type absent or spelled otherwise")
def sign_types(case):
    _, message = case.genuine("alipay")
    for name in ("rsa2", " RSA2", "RSA2 ", "Rsa2", "RSA2\0", "RSA-2", "ＲＳＡ２"):
        case.refused([(name, message.clone().set(sign_type=name))], {"algorithm_not_allowed"})
    # The algorithm is the account's, so a message need not name it; the key is asked all the same.
    number, message = case.genuine("alipay")
    case.pays(message.set(sign_type=None), number, "absent")
    _, message = case.genuine("alipay")
    case.refused([("absent, and SHA-1", message.set(sign_type=None).sign(digest=hashes.SHA1()))],
                 {"signature_not_verified"})


@row("A04", "another app")
def other_app(case):
    number, message = case.genuine("alipay")
    case.identity_refused([(app, message.clone().set(app_id=app)) for app in
                           ("2021000000000002", "", "2021000000000001 ", "02021000000000001",
                            None)],
                          "app_mismatch")
    case.expect_state(number, "awaiting")


@row("A05", "another seller, or none")
def other_seller(case):
    number, message = case.genuine("alipay")
    case.identity_refused([(seller, message.clone().set(seller_id=seller)) for seller in
                           ("2088101122136242", "", None, "2088101122136241 ")], "seller_mismatch")
    case.identity_refused([("for another", message.clone().set(auth_app_id="2021000000000009"))],
                          "sub_merchant_mismatch")
    case.expect_state(number, "awaiting")


@row("A06", "the attacker's own shop pays under our number")
def own_shop(case):
    number, _ = case.genuine("alipay")
    # Alipay signs for every shop with its own key for that app; where it were one key for all, the
    # identity would still be another.
    site = case.site
    foreign = site["alipay-b"].pay(number)
    forwarded = foreign.to("/payment/alipay/callback")
    with case.nothing_recorded():
        case.inputs += 1
        case.expect_refusal(site.post(forwarded), "alipay")
    same_key = site["alipay"].pay(number).set(app_id=site["alipay-b"].app_id,
                                              auth_app_id=site["alipay-b"].app_id,
                                              seller_id=site["alipay-b"].seller_id)
    case.identity_refused([("under one key", same_key)], "app_mismatch")
    seller = site["alipay"].pay(number).set(seller_id=site["alipay-b"].seller_id)
    case.identity_refused([("another seller of the app", seller)], "seller_mismatch")
    case.expect_state(number, "awaiting")


@row("A07", "another sum, signed")
def other_sum(case):
    for total in ("0.01", "1000.00", "99.99", "100.01", "10000.00", "1.00"):
        number = case.site.register()
        message = case.site["alipay"].pay(number).set(total_amount=total)
        case.without_effect(message, number, "quarantined", "amount_mismatch", total)
        case.expect_state(number, "awaiting")


@row("A08", "spellings of the sum")
def spelled_sums(case):
    number, message = case.genuine("alipay")
    case.refused([(repr(total), message.clone().set(total_amount=total)) for total in
                  ("100", "100.0", "100.000", "1e2", " 100.00", "100.00 ", "100,00", "+100.00",
                   "-100.00", "1,00.00", "１００.００", "0100.00", "100.00\n", ".00", "100.", "0x64.00",
                   "NaN", "Infinity", "", "1 00.00", "100.0O", "100·00", "99999999999999999999.00",
                   "1e400", "100.00.00", "--100.00", "٢٠٠.٠٠", "100.00\0")], {"body_malformed"})
    case.expect_state(number, "awaiting")
    case.pays(message, number, "exactly 100.00")


@row("A09", "states that are not final")
def not_final(case):
    number = case.site.register()
    for state in ("WAIT_BUYER_PAY", "TRADE_PENDING", "trade_success", "TRADE_SUCCESS ", "UNKNOWN",
                  "", None, "TRADE_SUCCESS\0", "TRADE_SUCCESSFUL"):
        without_payment(case, case.site["alipay"].pay(number).set(trade_status=state), number,
                        repr(state))
    case.expect_state(number, "awaiting")


@row("A10", "states that go back")
def regression(case):
    number, message = case.genuine("alipay")
    paid = dict(message.fields)
    finished = message.clone().set(trade_status="TRADE_FINISHED", notify_id="f" * 34)
    case.pays(finished, number, "finished")
    case.acked(message, "success behind finished")
    case.expect_events(number, {"order.paid": 1})
    pending = message.clone().set(trade_status="WAIT_BUYER_PAY", notify_id="a" * 34)
    case.acked(pending, "waiting behind paid")
    closed = message.clone().set(trade_status="TRADE_CLOSED", notify_id="b" * 34, gmt_payment=None)
    case.acked(closed, "closed behind paid, without a refund")
    case.expect_state(number, "paid")
    full = message.clone().set(trade_status="TRADE_CLOSED", notify_id="c" * 34, refund_fee="100.00",
                               gmt_refund=messages.china_time())
    case.acked(full, "closed by a full refund")
    case.expect_state(number, "refunded")
    case.acked(message, "success behind the refund")
    case.expect_state(number, "refunded")
    told = [e["type"] for e in case.site.order(number)["events"]]
    case.require(told.count("order.paid") == 1, f"told {told}")
    case.require(paid["trade_no"] == message.fields["trade_no"], "the rig mixed up its trades")


@row("A11", "refunds above the payment, negative, twice, less than before")
def refunds(case):
    number, message = case.genuine("alipay")
    case.pays(message, number)

    def refunded(total, one):
        return message.clone().set(refund_fee=total, out_biz_no=one, notify_id=one.rjust(34, "x"),
                                   gmt_refund=messages.china_time())

    def sum_of():
        return case.site.order(number)["order"]["refunded"]["minor"]
    case.refused([(fee, refunded(fee, "R0")) for fee in ("-1.00", "1e1", "10", "10.000", "+1.00")],
                 {"body_malformed"})
    case.acked(refunded("30.00", "R1"))
    case.require(sum_of() == 3000, f"refunded {sum_of()}")
    case.acked(refunded("30.00", "R1"), "the same again")
    case.acked(refunded("30.00", "R2"), "the same total in another message")
    case.require(sum_of() == 3000, f"refunded {sum_of()} behind a copy")
    case.acked(refunded("20.00", "R3"), "less than before")
    case.require(sum_of() == 3000, f"refunded {sum_of()} behind a smaller total")
    case.acked(refunded("100.01", "R4"), "above the payment")
    order = case.site.order(number)
    case.require(sum_of() <= 10000, f"refunded {sum_of()} of 10000")
    case.require(any(i["kind"] == "refund_above_paid" for i in order["incidents"]), "no incident")


@row("A12", "the buyer's browser, posted")
def return_url(case):
    number, message = case.genuine("alipay")
    back = message.clone()
    for name in ("notify_id", "notify_type", "notify_time", "trade_status"):
        back.fields.pop(name)
    back.set(method="alipay.trade.page.pay.return", timestamp=messages.china_time())
    case.refused([("signed return", back),
                  ("with notify_time", back.clone().set(notify_time=messages.china_time())),
                  ("with a state", back.clone().set(trade_status="TRADE_SUCCESS"))],
                 {"body_malformed"})
    case.expect_state(number, "awaiting")


@row("A13", "certificates: unknown, of another root, expired")
def certificates(case):
    keys = case.site.keys
    number, message = case.genuine("alipay-certified")
    foreign = messages.alipay_sn(keys.foreign)
    case.refused([("unknown number", message.clone().set(alipay_cert_sn="0" * 32)),
                  ("another's number", message.clone().set(alipay_cert_sn=foreign)),
                  ("expired", message.clone().set(alipay_cert_sn=messages.alipay_sn(keys.expired))),
                  ("empty", message.clone().set(alipay_cert_sn=""))],
                 {"key_unknown", "certificate_expired", "certificate_untrusted"})
    attacker = message.clone().set(alipay_cert_sn=foreign).sign(keys.attacker)
    case.refused([("the attacker's", attacker),
                  ("his key, our number", message.clone().sign(keys.attacker))],
                 {"key_unknown", "signature_not_verified"})
    case.pays(message, number)
    # Nor can the configuration be made to trust one: its chain is looked at when it is read.
    for name, one in (("foreign", keys.foreign), ("expired", keys.expired)):
        with rig.Site(case.site.binary, case.scratch / f"a13-{name}", keys,
                      names=("alipay-certified",)) as site:
            rig.write_secret(site.folder / "certificate.pem", messages.certificate_pem(one))
            case.inputs += 1
            code, output = site.check(site.configuration)
            if name == "foreign":
                case.require(code != 0, f"the foreign certificate is taken: {output[:300]}")
                continue
            if code != 0:
                continue
            site.stop()
            site.start()
            inner = type(case)(site, case.quick, case.scratch)
            _, late = inner.genuine("alipay-certified")
            late = late.clone().set(alipay_cert_sn=messages.alipay_sn(one)).sign(keys.alipay_next)
            inner.refused([("expired", late)], {"certificate_expired", "key_unknown"})
            case.inputs += inner.inputs


@row("A14", "signed fields that nobody knows yet")
def forward_compatible(case):
    for more in ({"zz_new": "1"}, {"a_new": "", "zz": "x y&z=1"}, {"fund_bill_list": '[{"a":1}]'},
                 {"passback_params": "a%26b%3D1"}, {"支付": "新"}):
        number, message = case.genuine("alipay")
        case.pays(message.set(**more), number, str(more))


@row("A15", "other kinds of messages")
def other_kinds(case):
    number = case.site.register()
    for kind in ("open_app_auth_notify", "dut_user_sign", "trade_status_async", "TRADE_STATUS_SYNC",
                 "batch_refund_notify", "x" * 64):
        without_payment(case, case.site["alipay"].pay(number).set(notify_type=kind), number, kind)
    message = case.site["alipay"].pay(number)
    without_payment(case, message.set(service="alipay.trade.close", notify_type="other"), number)
    case.refused([("none", message.clone().set(notify_type=None)),
                  ("empty", message.clone().set(notify_type=""))], {"body_malformed"})
    case.expect_state(number, "awaiting")

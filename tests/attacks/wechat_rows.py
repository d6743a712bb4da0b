"""Rows W01 to W17: what WeChat Pay v2 and v3 sign and seal, and what of it is ours."""
import base64
import json
import time

from rows import messages, row

DECRYPTION = {"decryption_failed"}


@row("W01", "MD5 on an account of HMAC-SHA256, and the reverse")
def downgraded(case):
    _, message = case.genuine()
    named = message.clone()
    named.fields["sign_type"] = "MD5"
    unnamed = message.clone()
    unnamed.fields.pop("sign_type")
    case.refused([("MD5", named.sign(sign_type="MD5")), ("unnamed", unnamed.sign(sign_type="MD5")),
                  ("MD5 under the name", message.clone().sign(sign_type="MD5"))],
                 {"algorithm_not_allowed"})
    number, md5 = case.genuine("wechat-v2-md5")
    case.refused([("HMAC on MD5", md5.clone().sign(sign_type="HMAC-SHA256"))],
                 {"algorithm_not_allowed"})
    case.pays(md5, number, "MD5 where it is listed")


@row("W02", "return_code and result_code disagree")
def result_codes(case):
    number, message = case.genuine()
    case.without_effect(message.clone().set(result_code="FAIL", err_code="SYSTEMERROR"), number,
                        "nothing_to_do", label="SUCCESS, FAIL")
    case.without_effect(message.clone().set(result_code=""), number, "nothing_to_do", label="empty")
    case.without_effect(message.clone().set(result_code="success"), number, "nothing_to_do",
                        label="small letters")
    case.without_effect(message.clone().set(trade_state="NOTPAY"), number, "nothing_to_do",
                        label="a state beside it")
    case.refused([("FAIL, SUCCESS", message.clone().set(return_code="FAIL")),
                  ("none", message.clone().set(return_code=None)),
                  ("small", message.clone().set(return_code="success"))])
    case.expect_state(number, "awaiting")


@row("W03", "another merchant, app or sub-merchant")
def identities(case):
    number, message = case.genuine()
    case.identity_refused([(one, message.clone().set(mch_id=one)) for one in
                           ("10000101", "", None, "10000100 ", "010000100")], "merchant_mismatch")
    case.identity_refused([(one, message.clone().set(appid=one)) for one in
                           ("wx2421b1c4370ec43c", "", None, "WX2421B1C4370EC43B")], "app_mismatch")
    case.identity_refused([("sub", message.clone().set(sub_mch_id="1900000109"))],
                          "sub_merchant_mismatch")
    refund = messages.WechatV2Refund(case.site["wechat-v2"], number)
    forged = refund.clone().with_body(refund.body.replace(b"10000100", b"10000101"))
    case.identity_refused([("refund", forged)], "merchant_mismatch")
    case.expect_state(number, "awaiting")


@row("W04", "total_fee counts, not what the buyer gave in cash")
def coupons(case):
    number, message = case.genuine()
    case.pays(message.set(cash_fee="8000", coupon_fee="2000", coupon_count="1"), number, "a coupon")
    for total, cash in (("8000", "10000"), ("1", "10000"), ("10001", "10000")):
        number, message = case.genuine()
        message.set(total_fee=total, cash_fee=cash, settlement_total_fee="10000")
        case.without_effect(message, number, "quarantined", "amount_mismatch", total)


@row("W05", "another currency")
def currencies(case):
    for currency in ("USD", "JPY", "HKD"):
        number, message = case.genuine()
        case.without_effect(message.set(fee_type=currency), number, "quarantined",
                            "amount_mismatch", currency)
    number, message = case.genuine()
    case.refused([(one, message.clone().set(fee_type=one)) for one in
                  ("cny", "RMB", "XXX", "CNY ", "C", "CNYX", "156")], {"body_malformed"})
    case.pays(message.set(fee_type=None), number, "none is CNY")


@row("W06", "req_info that does not open, one refusal for all")
def refund_notices(case):
    own = case.site["wechat-v2"]
    number, payment = case.genuine()
    case.pays(payment, number)
    good = messages.WechatV2Refund(own, number, transaction_id=payment.fields["transaction_id"])
    plain = good.inner_xml()
    sealed = good.clone().seal(plain).body.split(b"<req_info><![CDATA[")[1].split(b"]]>")[0]
    raw = base64.b64decode(sealed)
    # Base64 that is none; lengths that are no blocks; each byte of the last block but one flipped,
    # which an oracle of paddings would need; padding that is none; another key.
    texts = ["x", "====", "!!!!", sealed.decode()[:-1], sealed.decode().replace("A", "\n", 1),
             base64.b64encode(raw[:-1]).decode(), base64.b64encode(raw + b"\0" * 16).decode(),
             base64.b64encode(raw[:-16]).decode(), base64.b64encode(b"\0" * 16).decode(),
             "A" * 20000]
    texts += [base64.b64encode(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1:]).decode()
              for i in case.sampled(range(len(raw)), 200)]
    texts += [base64.b64encode(raw[:-16] + bytes([value]) * 16).decode()
              for value in case.sampled(range(256), 256)]
    case.refused([(text[:20], good.clone().put(text)) for text in texts])
    case.refused([("another key", good.clone().seal(plain, "0123456789abcdef0123456789abcdef")),
                  ("no padding", good.clone().seal(plain + b" " * (-len(plain) % 16), pad=False)),
                  ("padding 0", good.clone().seal(plain[:32] + b"\0" * 16, pad=False)),
                  ("padding 17", good.clone().seal(plain[:31] + b"\x11" * 17, pad=False))],
                 DECRYPTION)
    inner = [b'<!DOCTYPE root [<!ENTITY e SYSTEM "file:///etc/passwd">]><root>&e;</root>',
             b"<root><a><b/></a></root>", plain.replace(b"<root>", b"<xml>"), b"", b"<root>",
             plain.replace(b"</root>", b"<refund_fee>1</refund_fee></root>"), plain + plain,
             plain.replace(b"2000", b"20<!---->00"), plain.replace(b"2000", b"&#50;000")]
    case.refused([(text[:40], good.clone().seal(text)) for text in inner], DECRYPTION)
    case.refused([("identity inside", good.clone().seal(
        plain.replace(b"</root>", b"<mch_id>10000101</mch_id></root>")))], {"key_duplicate"})
    before = case.site.order(number)["order"]
    case.acked(good, "a true hint")
    newest = case.site.get("/v1/callbacks?limit=1")["callbacks"][0]
    case.require(newest["outcome"] == "to_be_confirmed", f"kept as {newest['outcome']}")
    case.require(case.site.order(number)["order"]["refunded"] == before["refunded"],
                 "an unsigned notice had an effect")


def at(case, timestamp, account="wechat"):
    number, message = case.genuine(account)
    message.timestamp = timestamp
    return number, message.sign()


@row("W07", "timestamps outside of the window, or none")
def timestamps(case):
    now = int(time.time())
    wrong = [str(now - 305), str(now + 305), str(now * 1000), str(-now), "1e9", "0",
             str(now) + ".0", "0" + str(now), "+" + str(now), str(now) + "Z", "0x" + f"{now:x}",
             "9" * 12, "9" * 30, str(2**63), str(2**64 + now), "２" * 10, "null", "now",
             str(now - 86400), str(now + 86400)]
    case.refused([(one, at(case, one)[1]) for one in wrong if one.isascii()],
                 {"timestamp_malformed", "timestamp_outside_window"})
    _, message = case.genuine("wechat")
    case.refused([(repr(one), message.with_header("Wechatpay-Timestamp", one))
                  for one in (None, "", str(now - 1), " 1")],
                 {"header_missing", "timestamp_malformed", "timestamp_outside_window",
                  "signature_not_verified"})
    for offset in (-290, 290):
        number, message = at(case, str(int(time.time()) + offset))
        case.pays(message, number, f"{offset} s")


@row("W08", "nonces: none, long, with line ends, used before")
def nonces(case):
    number, message = case.genuine("wechat")

    def with_nonce(nonce):
        other = message.clone()
        other.nonce = nonce
        return other.sign()
    case.refused([("1 KiB", with_nonce("n" * 1024)), ("129", with_nonce("n" * 129)),
                  ("TAB", with_nonce("a\tb")), ("é", with_nonce("a").with_header("Wechatpay-Nonce",
                                                                               b"\xc3\xa9"))],
                 {"nonce_malformed"})
    case.refused([("missing", message.with_header("Wechatpay-Nonce", None)),
                  ("empty", message.with_header("Wechatpay-Nonce", "")),
                  ("another", message.with_header("Wechatpay-Nonce", "other"))],
                 {"header_missing", "nonce_malformed", "signature_not_verified"})
    raw = message.raw().replace(b"Wechatpay-Nonce: ", b"Wechatpay-Nonce: a\n")
    case.broken([("LF", raw), ("CR LF", raw.replace(b"a\n", b"a\r\n "))])
    _, other = case.genuine("wechat")
    case.refused([("another's body", message.with_body(other.body))], {"signature_not_verified"})
    case.pays(message, number)
    # The nonce is no guard of ours, so using it again for a true message is no fault.
    number, again = case.genuine("wechat")
    case.pays(again, number, "the same nonce again")


@row("W09", "the platform's own probe")
def probe(case):
    site = case.site
    incidents = len(site.incidents())
    probes = site.total("postern_callback_probes_total")
    rejected = site.total("postern_callbacks_rejected_total")
    count = 0
    for value in ("WECHATPAY/SIGNTEST/", "WECHATPAY/SIGNTEST/AAAA", "WECHATPAY/SIGNTEST/" +
                  "x" * 300):
        _, message = case.genuine("wechat")
        case.refused([(value[:30], message.with_header("Wechatpay-Signature", value))])
        count += 1
    case.require(site.total("postern_callback_probes_total") == probes + count, "not counted")
    case.require(site.total("postern_callbacks_rejected_total") == rejected, "counted as refused")
    case.require(len(site.incidents()) == incidents, "somebody is alerted")
    _, message = case.genuine("wechat")
    for value in ("wechatpay/signtest/x", "SIGNTEST", "xWECHATPAY/SIGNTEST/"):
        case.refused([(value, message.with_header("Wechatpay-Signature", value))],
                     {"signature_malformed", "signature_not_verified"})


@row("W10", "key ids: unknown, expired, of another kind, empty")
def serials(case):
    site, keys = case.site, case.site.keys
    number, message = case.genuine("wechat")
    own, other = site["wechat"].serial, site["wechat-b"].serial
    certified = messages.serial_of(keys.wechat_certificate)
    expired = messages.serial_of(keys.wechat_expired)
    case.refused([(one, message.with_header("Wechatpay-Serial", one)) for one in
                  ("", "0" * 40, other, own[:-1], own + "1", own.replace("PUB_KEY_ID_", ""), "*",
                   "PUB_KEY_ID_", "../../" + own, own + "%00")],
                 {"key_unknown"})
    case.refused([("missing", message.with_header("Wechatpay-Serial", None))], {"header_missing"})
    case.refused([("certificate's number, key's signature",
                   message.with_header("Wechatpay-Serial", certified)),
                  ("key's id, certificate's signature",
                   message.clone().sign(keys.wechat_certified))], {"signature_not_verified"})
    late = message.clone().sign(keys.wechat_certified).with_header("Wechatpay-Serial", expired)
    case.refused([("expired", late)], {"certificate_expired"})
    case.require(not site.sockets_out(), f"the daemon asks somebody: {site.sockets_out()}")
    certified_message = message.clone().sign(keys.wechat_certified)
    case.pays(certified_message.with_header("Wechatpay-Serial", certified), number, "certificate")
    number, message = case.genuine("wechat")
    case.pays(message.with_header("Wechatpay-Serial", own.lower()), number,
              "the id in small letters")


@row("W11", "other kinds of signatures by name")
def signature_types(case):
    number, message = case.genuine("wechat")
    name = "Wechatpay-Signature-Type"
    case.refused([(one, message.with_header(name, one)) for one in
                  ("WECHATPAY2-SM2-WITH-SM3", "none", "", "RSA", "WECHATPAY2-RSA2048-SHA256",
                   "WECHATPAY2-SHA256-RSA2048,none", "wechatpay2-sha256-rsa2048")],
                 {"algorithm_not_allowed"})
    case.pays(message.with_header(name, "WECHATPAY2-SHA256-RSA2048"), number, "the true one")
    number, message = case.genuine("wechat")
    case.pays(message, number, "missing: the account's own")


@row("W12", "line ends that would move what is signed")
def boundaries(case):
    number, message = case.genuine("wechat")
    lines = message.signing_text().split(b"\n", 2)
    # timestamp LF nonce LF body LF: the same text, cut elsewhere.
    moved = [(message.timestamp, b"", message.nonce.encode() + b"\n" + message.body),
             (message.timestamp, message.nonce.encode() + b"\n", message.body),
             (message.timestamp + "\n" + message.nonce, b"", message.body)]
    first = message.clone().with_body(message.nonce.encode() + b"\n" + message.body)
    inputs = [("nonce in the body", first.with_header("Wechatpay-Nonce", "")),
              ("body begins with LF", message.with_body(b"\n" + message.body)),
              ("body without its end", message.with_body(message.body[:-1])),
              ("body and LF", message.with_body(message.body + b"\n"))]
    signed = message.clone()
    signed.nonce = ""
    inputs.append(("signed with an empty nonce", signed.sign()))
    case.refused(inputs, {"signature_not_verified", "nonce_malformed", "header_missing"})
    case.require(len(lines) == 3 and len(moved) == 3, "the text is not what it should be")
    raw = message.raw()
    stamp = b"Wechatpay-Timestamp: " + message.timestamp.encode()
    case.broken([("LF in the timestamp", raw.replace(stamp, stamp + b"\n" +
                                                     message.nonce.encode())),
                 ("CR in the timestamp", raw.replace(stamp, stamp + b"\r1"))])
    case.expect_state(number, "awaiting")


@row("W13", "the sealed resource: tag, nonce, algorithm, key")
def sealed(case):
    number, message = case.genuine("wechat")
    right = message.sealed()

    def resealed(ciphertext=None, **resource):
        other = message.clone()
        other.resource.update(resource)
        envelope = other.envelope(right if ciphertext is None else ciphertext)
        for name, value in resource.items():
            if value is None:
                del envelope["resource"][name]
        return other.sign_body(json.dumps(envelope).encode())
    flipped = [right[:i] + bytes([right[i] ^ 1]) + right[i + 1:]
               for i in case.sampled(range(len(right)), 60)]
    inputs = [(f"byte {i}", resealed(one)) for i, one in enumerate(flipped)]
    inputs += [("other associated data", resealed(associated_data="Transaction")),
               ("no associated data", resealed(associated_data=None)),
               ("empty", resealed(associated_data="")),
               ("other nonce", resealed(nonce="fdasflkja485")),
               ("nonce of 11", resealed(nonce="fdasflkja48")),
               ("nonce of 13", resealed(nonce="fdasflkja4845")),
               ("nonce of 129", resealed(nonce="n" * 129)), ("no nonce", resealed(nonce="")),
               ("nonce missing", resealed(nonce=None)), ("nonce a number", resealed(nonce=1)),
               ("15 bytes", resealed(right[:15])), ("tag alone", resealed(right[-16:])),
               ("tag cut", resealed(right[:-1])), ("none", resealed(b"x")),
               ("more", resealed(right + b"\0")),
               ("AES-128", resealed(algorithm="AEAD_AES_128_GCM")),
               ("no algorithm", resealed(algorithm="none")),
               ("algorithm missing", resealed(algorithm=None)),
               ("empty algorithm", resealed(algorithm="")),
               ("small letters", resealed(algorithm="aead_aes_256_gcm")),
               ("another merchant's key", resealed(
                   message.sealed(case.site["wechat-b"].api_key)))]
    case.refused(inputs, {"decryption_failed", "body_malformed", "algorithm_not_allowed"})
    for text in ("", "{}", "[]", "null", '"x"', "{", "\0"):
        case.refused([(f"sealed {text!r}", message.clone().say_text(text))])
    kept = case.site.get("/v1/rejected/wechat")["rejected"]
    case.require(all(number not in one["detail"] for one in kept),
                 "a part of the plaintext is told")
    case.expect_state(number, "awaiting")
    case.pays(message.sign(), number)


@row("W14", "another identity inside of the seal")
def inner_identity(case):
    number, message = case.genuine("wechat")
    case.identity_refused([(one, message.clone().say(mchid=one)) for one in
                           ("1900000110", "", None, "01900000109")], "merchant_mismatch")
    case.identity_refused([(one, message.clone().say(appid=one)) for one in
                           ("wxd678efh567hg6788", "", None)], "app_mismatch")
    case.identity_refused([("sub", message.clone().say(sub_mchid="1900000111")),
                           ("provider", message.clone().say(sp_mchid="1900000109"))],
                          "sub_merchant_mismatch")
    case.refused([(str(one), message.clone().say(**one)) for one in
                  ({"mchid": 1900000109}, {"mchid": ["1900000109"]}, {"appid": {}},
                   {"out_trade_no": 1}, {"out_trade_no": [number]}, {"out_trade_no": None},
                   {"out_trade_no": ""}, {"transaction_id": 1}, {"transaction_id": None},
                   {"sub_mchid": 1})], {"body_malformed"})
    case.expect_state(number, "awaiting")


def amount(message, **members):
    other = message.clone()
    for name, value in members.items():
        if value is None:
            other.plain["amount"].pop(name, None)
        else:
            other.plain["amount"][name] = value
    return other.sign()


@row("W15", "amount: total counts, its currency, its type")
def amounts(case):
    number, message = case.genuine("wechat")
    case.pays(amount(message, payer_total=8000), number, "a coupon")
    for change in ({"total": 1, "payer_total": 10000}, {"total": 10001}, {"currency": "USD"},
                   {"currency": "JPY"}):
        number, message = case.genuine("wechat")
        case.without_effect(amount(message, **change), number, "quarantined", "amount_mismatch",
                            str(change))
    number, message = case.genuine("wechat")
    case.refused([(str(one), amount(message, **one)) for one in
                  ({"total": "10000"}, {"total": 100.5}, {"total": 10000.0}, {"total": True},
                   {"total": [10000]}, {"total": {"a": 1}}, {"total": None}, {"total": -1},
                   {"total": 2**63}, {"total": 2**64}, {"currency": 156}, {"currency": "cny"},
                   {"currency": ["CNY"]})], {"body_malformed"})
    case.refused([("no amount", message.clone().say(amount=None)),
                  ("a number", message.clone().say(amount=10000))], {"body_malformed"})
    case.expect_state(number, "awaiting")


@row("W16", "the event says paid and the state does not")
def states(case):
    number, message = case.genuine("wechat")
    for state in ("NOTPAY", "REFUND", "CLOSED", "REVOKED", "USERPAYING", "PAYERROR", "", "success",
                  None, "SUCCESS "):
        message = case.site["wechat"].pay(number).say(trade_state=state)
        case.without_effect(message, number, "nothing_to_do", label=str(state))
    for event in ("REFUND.SUCCESS", "TRANSACTION.SUCCESSFUL", "transaction.success",
                  "TRANSACTION.FAIL", "OTHER.EVENT"):
        other = case.site["wechat"].pay(number)
        other.event_type = event
        case.acked(other.sign(), event)
    case.expect_state(number, "awaiting")
    case.expect_events(number, {})


@row("W17", "refunds: the same id again, above the payment, abnormal")
def refunds(case):
    number, message = case.genuine("wechat")
    case.pays(message, number)
    payment = message.plain["transaction_id"]

    def refund(refund_id, minor, state="SUCCESS"):
        return case.site["wechat"].pay(number).refund(refund_id, minor, payment, state)

    def refunded():
        return case.site.order(number)["order"]["refunded"]["minor"]
    ids = [messages.wechat_id(number) for _ in range(4)]
    case.acked(refund(ids[0], 3000))
    case.acked(refund(ids[0], 3000), "again, in another message")
    case.require(refunded() == 3000, f"refunded {refunded()}")
    case.without_effect(refund(ids[0], 5000), number, "conflict", "conflict", "its id, another sum")
    case.require(refunded() == 3000, f"refunded {refunded()}")
    case.acked(refund(ids[1], 1000, "ABNORMAL"), "abnormal")
    case.require(refunded() == 3000, f"refunded {refunded()}")
    kinds = [one["kind"] for one in case.site.order(number)["incidents"]]
    case.require("refund_failed" in kinds, f"incidents {kinds}")
    case.acked(refund(ids[2], 9000), "above the payment")
    case.require(refunded() <= 10000, f"refunded {refunded()} of 10000")
    kinds = [one["kind"] for one in case.site.order(number)["incidents"]]
    case.require("refund_above_paid" in kinds, f"incidents {kinds}")

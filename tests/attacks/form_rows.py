"""Rows P01 to P18: forms that two readers would take apart differently (Alipay)."""
import random

from rows import messages, row

MALFORMED = {"body_malformed"}
UNSIGNED = {"signature_not_verified"}


def form(message, pairs):
    """The message with its pairs in another form; `pairs` are already encoded."""
    return message.with_body("&".join(pairs).encode())


def with_pairs(message, *more, first=()):
    return form(message, list(first) + message.pairs() + list(more))


@row("P01", "a business parameter twice")
def doubled(case):
    number, message = case.genuine("alipay")
    inputs = []
    for name, other in (("total_amount", "0.01"), ("out_trade_no", "T9"), ("trade_status", "X"),
                        ("app_id", "1"), ("seller_id", "1"), ("notify_id", "1"),
                        ("charset", "gbk")):
        same = messages.quote(message.fields[name])
        for value in (other, same, ""):
            inputs += [(f"{name} behind", with_pairs(message, f"{name}={value}")),
                       (f"{name} in front", with_pairs(message, first=[f"{name}={value}"]))]
        inputs.append((f"{name} encoded", with_pairs(
            message, "%" + f"{ord(name[0]):02X}" + name[1:] + "=" + other)))
    case.refused(inputs, {"key_duplicate"})
    case.expect_state(number, "awaiting")


@row("P02", "sign or sign_type twice")
def doubled_sign(case):
    _, message = case.genuine("alipay")
    sign = messages.quote(message.fields["sign"])
    inputs = [(f"sign {value[:8]}", with_pairs(message, f"sign={value}"))
              for value in ("bad", "", sign)]
    inputs += [(f"sign first {value[:8]}", with_pairs(message, first=[f"sign={value}"]))
               for value in ("bad", "", sign)]
    inputs += [(f"sign_type {value}", with_pairs(message, f"sign_type={value}"))
               for value in ("RSA", "RSA2", "", "none")]
    case.refused(inputs, {"key_duplicate"})


@row("P03", "parameters in the query")
def in_query(case):
    number, message = case.genuine("alipay")
    sign = messages.quote(message.fields["sign"])
    unsigned = message.with_signature(None)
    case.refused([("sign", unsigned.to(message.target + "?sign=" + sign)),
                  ("all", message.with_body(b"").to(message.target + "?" + message.body.decode()))],
                 {"signature_missing", "body_malformed"})
    poor = message.clone()
    poor.fields = {n: v for n, v in message.fields.items() if n != "total_amount"}
    case.refused([("total_amount", poor.with_body(poor.form()).to(message.target +
                                                                  "?total_amount=100.00"))],
                 UNSIGNED)
    case.pays(message.to(message.target + "?total_amount=0.01&sign=bad&out_trade_no=T9"), number,
              "the query is not looked at")


@row("P04", "any order of the parameters (a control)")
def shuffled(case):
    number, message = case.genuine("alipay")
    mixer = random.Random(4)
    for i in range(5 if case.quick else 50):
        pairs = message.pairs()
        mixer.shuffle(pairs)
        case.acked(form(message, pairs), f"shuffle {i}")
    case.expect_state(number, "paid")
    case.expect_events(number, {"order.paid": 1})


@row("P05", "values that are empty, or not there")
def empty_values(case):
    for label, fields in (("covered", {"body": ""}), ("two", {"body": "", "zz": ""}), ("none", {})):
        number, message = case.genuine("alipay")
        case.pays(message.set(**fields), number, label)
    # Some products leave the empties out of what they sign.
    number, message = case.genuine("alipay")
    message.fields["body"] = ""
    case.pays(message.with_body(message.form()), number, "not covered")
    number, message = case.genuine("alipay")
    case.refused([("no =", with_pairs(message, "body")), ("= alone", with_pairs(message, "=")),
                  ("no name", with_pairs(message, "=x")),
                  ("no = first", with_pairs(message, first=["body"]))],
                 MALFORMED)
    # An empty value where the signature covers a full one, and the reverse.
    case.refused([(name, message.spoiled(**{name: ""})) for name in ("subject", "total_amount")],
                 UNSIGNED)
    case.refused([("filled", message.clone().set(body="").spoiled(body="x"))], UNSIGNED)
    case.expect_state(number, "awaiting")


@row("P06", "blanks as + and as %20")
def blanks(case):
    number, message = case.genuine("alipay")
    message.set(subject="a b+c  d")
    text = message.body.decode()
    spelled = [text, text.replace("a+b", "a%20b"), text.replace("++d", "%20+d"),
               text.replace("%2B", "%2b"), text.replace("subject=a", "subject=%61"),
               text.replace("_", "%5F").replace("-", "%2D")]
    for one in spelled:
        case.acked(message.with_body(one.encode()), one[-200:])
    case.expect_events(number, {"order.paid": 1})
    case.refused([("a literal plus for %2B", message.with_body(text.replace("%2B", "+").encode()))],
                 UNSIGNED | {"signature_malformed"})
    case.refused([("a raw blank", message.with_body(text.replace("a+b", "a b").encode()))],
                 MALFORMED)


@row("P07", "values that are encoded twice")
def encoded_twice(case):
    for subject in ("100%25 off", "a%2Bb", "a%26total_amount=0.01", "%", "%zz", "a+b", "%u0030"):
        number, message = case.genuine("alipay")
        message.set(subject=subject)
        once = "subject=" + messages.quote(subject)
        twice = "subject=" + messages.quote(messages.quote(subject))
        body = message.body.decode()
        assert once in body
        inputs = [("once more", message.with_body(body.replace(once, twice).encode()))]
        if messages.urllib.parse.unquote_plus(subject) != subject:
            less = "subject=" + messages.quote(messages.urllib.parse.unquote_plus(subject))
            inputs.append(("once less", message.with_body(body.replace(once, less).encode())))
        case.refused(inputs, UNSIGNED | {"text_malformed"})
        case.pays(message, number, subject)


@row("P08", "escapes that are none")
def escapes(case):
    number, message = case.genuine("alipay")
    inputs = []
    for bad in ("%", "%G1", "%2", "%u0030", "%%", "% 1", "%-1", "%0x41", "%1", "%+1", "%\u0660"):
        for where in ("subject", "out_trade_no", "sign", "zz"):
            pairs = [p + bad if p.startswith(where + "=") else p for p in message.pairs()]
            pairs += [f"zz={bad}"] if where == "zz" else []
            inputs.append((f"{where} {bad}", form(message, pairs)))
        inputs.append((f"name {bad}", with_pairs(message, f"z{bad}=1")))
    case.refused(inputs, MALFORMED)
    case.expect_state(number, "awaiting")


@row("P09", "NUL and control characters")
def controls(case):
    number, message = case.genuine("alipay")
    for field in ("out_trade_no", "trade_no", "notify_id", "notify_type"):
        own = message.fields[field]
        bad = [own + c for c in ("\0", "\n", "\x1b", "\r", "\x7f", "\t")] + ["\0" + own]
        if field == "notify_type":
            bad = [one for one in bad if one]
        case.refused([(f"{field} {one[-3:]!r}", message.clone().set(**{field: one}))
                      for one in bad], MALFORMED)
    case.expect_state(number, "awaiting")
    for text in ("a\0b", "line\nline", "\x1b[2J\x1b[31m", "\r\nX-Evil: 1", "\x07" * 64):
        number, message = case.genuine("alipay")
        case.pays(message.set(subject=text, body=text), number, repr(text))
        shown = case.site.call("GET", f"/v1/orders/{number}")[1]
        case.require(not any(byte < 0x20 and byte != 0x0a for byte in shown), "shown unescaped")
    for line in case.site.log_lines():
        case.require(all(byte >= 0x20 for byte in line), "logged unescaped")


@row("P10", "bytes that are no UTF-8")
def invalid_utf8(case):
    number, message = case.genuine("alipay")
    bad = [b"\xc0\xae", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xff", b"\x80", b"\xe4\xb8",
           b"\xf4\x90\x80\x80", b"\xc1\x81", b"\xe0\x80\xaf", b"\xed\xbf\xbf", b"\xf0\x80\x80\xaf"]
    case.refused([(repr(one), message.clone().set(subject=b"x" + one)) for one in bad],
                 {"text_malformed"})
    case.refused([(repr(one), message.clone().set(out_trade_no=number.encode() + one))
                  for one in bad], {"text_malformed"})
    case.refused([("raw", message.with_body(message.body + b"&zz=\xff")),
                  ("in a name", message.with_body(message.body + b"&z\xe4=1"))], MALFORMED)
    case.expect_state(number, "awaiting")


@row("P11", "names that look like sign")
def look_alikes(case):
    names = ("Sign", "SIGN", "sign ", "sign\0", "sign[]", " sign", "sіgn", "sign_", "sign%00",
             "ｓｉｇｎ", "sign.x")
    number, message = case.genuine("alipay")
    sign = message.fields["sign"]
    unsigned = message.with_signature(None)
    inputs = [(repr(n), with_pairs(unsigned, messages.quote(n) + "=" + messages.quote(sign)))
              for n in names]
    case.refused(inputs, {"signature_missing"})
    added = [(repr(n), with_pairs(message, messages.quote(n) + "=x")) for n in names]
    case.refused(added, UNSIGNED)
    case.expect_state(number, "awaiting")
    for name in names:
        number, message = case.genuine("alipay")
        case.pays(message.set(**{name: "x"}), number, f"{name!r} is one more signed field")


@row("P12", "separators")
def separators(case):
    number, message = case.genuine("alipay")
    text = message.body
    case.refused([(label, message.with_body(body)) for label, body in (
        (";", text.replace(b"&", b";")), ("one ;", text.replace(b"&", b";", 1)),
        ("; in a value", text + b"&zz=a;b=c"), ("&&", text.replace(b"&", b"&&", 1)),
        ("trailing &", text + b"&"), ("leading &", b"&" + text), ("& alone", b"&"),
        ("&amp;", text.replace(b"&", b"&amp;", 1)), ("LF", text.replace(b"&", b"\n", 1)),
        ("trailing LF", text + b"\n"), ("CR LF", text + b"\r\n"), ("NUL", text + b"\0"),
        ("blank", text + b" "), ("TAB", b"\t" + text), (",", text.replace(b"&", b",")))],
        MALFORMED | {"signature_missing"})
    case.expect_state(number, "awaiting")


@row("P13", "what is signed has no escapes, so it may be cut twice")
def recut(case):
    site = case.site
    number = site.register()
    # The buyer chose a subject that holds the text of another field.
    buyer = site["alipay"].pay(number).set(subject="x&total_amount=100.00", total_amount="0.01")
    assert b"subject=x&total_amount=100.00&total_amount=0.01&trade_no" in buyer.signing_text()
    split = buyer.clone()
    split.fields["subject"] = "x"
    split.fields["total_amount"] = "100.00&total_amount=0.01"
    one_value = split.with_body(split.form())
    assert split.signing_text() == buyer.signing_text(), "the texts to be signed differ"
    case.refused([("one value", one_value)], MALFORMED)
    split.fields["total_amount"] = "100.00"
    two = split.with_body(split.form() + b"&total_amount=0.01")
    case.refused([("two parameters", two)], {"key_duplicate"})
    case.without_effect(buyer, number, "quarantined", "amount_mismatch", "0.01 as it was signed")
    # The same with the number of the order, which may not hold '&'.
    victim = site.register()
    buyer = site["alipay"].pay(site.register()).set(gmt_payment=None,
                                                    body=f"x&out_trade_no={victim}")
    merged = buyer.clone()
    merged.fields["out_trade_no"] = victim + "&notify_id=1"
    case.refused([("& in an id", merged.sign())], MALFORMED)
    case.expect_state(victim, "awaiting")


@row("P14", "names with brackets and dots")
def brackets(case):
    number, message = case.genuine("alipay")
    names = ("total_amount[]", "total_amount[a]", "total_amount.a", "total_amount[0]",
             "[total_amount]")
    case.refused([(name, with_pairs(message, messages.quote(name) + "=0.01")) for name in names],
                 UNSIGNED)
    case.refused([(name, message.clone().set(total_amount=None, **{name: "100.00"}))
                  for name in names], MALFORMED)
    case.expect_state(number, "awaiting")
    for name in names:
        number, message = case.genuine("alipay")
        case.pays(message.set(**{name: "0.01"}), number, f"{name} is unknown")


@row("P15", "GBK whose second byte is a backslash")
def gbk(case):
    for text in (b"\xbf\x5c", b"x\xbf\x5c", "年度会员".encode("gbk"), b"\x81\x5c\xfe\x7c",
                 "套餐&x=1".encode("gbk")):
        for charset in ("GBK", "gbk", "gb18030", "GB2312"):
            number, message = case.genuine("alipay")
            message.set(charset=charset, subject=text)
            if charset == "GB2312" and case.site.post(message).code == 400:
                case.inputs += 1
                continue
            case.pays(message, number, f"{charset} {text!r}")


@row("P16", "a charset that is not that of the bytes")
def switched(case):
    number, message = case.genuine("alipay")
    chinese = "年度会员"
    # UTF-8 bytes that happen to be GBK as well are only shown wrongly; the ids are ASCII.
    for label, fields in (("UTF-8 as GBK", {"charset": "GBK", "subject": chinese.encode()}),
                          ("GBK as UTF-8", {"charset": "utf-8", "subject": chinese.encode("gbk")})):
        one = message.clone().set(**fields)
        case.inputs += 1
        answer = case.site.post(one)
        case.require(answer.code in (200, 400), f"{label}: {answer}")
    case.refused([(name, message.clone().set(charset=name)) for name in
                  ("utf-7", "utf-16", "big5", "iso-8859-1", "x", "UTF8\0", "shift_jis")],
                 {"charset_unknown"})
    case.refused([("signed as another", message.spoiled(charset="GBK"))], UNSIGNED)
    number, message = case.genuine("alipay")
    case.pays(message.with_header("Content-Type", messages.FORM + "; charset=GBK"), number,
              "the header is not what is signed")
    case.require(case.site.call("GET", f"/v1/orders/{number}")[0] == 200, "cannot be shown")


@row("P17", "something in front of the first name")
def in_front(case):
    number, message = case.genuine("alipay")
    case.refused([(repr(front), message.with_body(front + message.body)) for front in
                  (b"\xef\xbb\xbf", b" ", b"\t", b"\r\n", b"\n", b"\0", b"\xfe\xff", b"?")],
                 MALFORMED | UNSIGNED)
    case.refused([("encoded BOM", message.with_body(b"%EF%BB%BF" + message.body)),
                  ("encoded blank", message.with_body(b"%20" + message.body)),
                  ("+", message.with_body(b"+" + message.body))])
    case.expect_state(number, "awaiting")


@row("P18", "the same fields as multipart/form-data")
def multipart(case):
    number, message = case.genuine("alipay")
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                    for name, value in message.fields.items()) + "--x--\r\n"
    twin = message.with_body(parts.encode())
    case.refused([("multipart", twin.with_header("Content-Type",
                                                 "multipart/form-data; boundary=x")),
                  ("mixed", twin.with_header("Content-Type", "multipart/mixed; boundary=x")),
                  ("a form by its header",
                   message.with_header("Content-Type", "multipart/form-data; boundary=x"))],
                 {"content_type_wrong"})
    case.refused([("multipart in a form's clothes", twin)], MALFORMED)
    case.expect_state(number, "awaiting")

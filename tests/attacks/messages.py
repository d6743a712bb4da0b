"""Callbacks as the platforms sign them, to be bent and signed again.

Written from the platforms' protocols, not from the daemon's code. A message is spoiled in one of
two ways: before it is signed (the platform said it), or afterwards (a stranger did).
"""
import base64
import copy
import datetime
import hashlib
import hmac
import json
import time
import urllib.parse
import xml.sax.saxutils

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

import wire

FORM, JSON, XML = "application/x-www-form-urlencoded", "application/json", "text/xml"


def new_key(exponent=65537, bits=2048):
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits)


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def rsa_sign(key, text, digest=None):
    return key.sign(text, padding.PKCS1v15(), digest or hashes.SHA256())


def certificate(subject, key, issuer=None, issuer_key=None, days=(-1, 30), serial=None):
    """A certificate under `issuer`; a root where there is none."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    issued_by = issuer.subject if issuer else name
    now = datetime.datetime.utcnow()
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issued_by)
    builder = builder.public_key(key.public_key())
    builder = builder.serial_number(serial or x509.random_serial_number())
    builder = builder.not_valid_before(now + datetime.timedelta(days=days[0]))
    builder = builder.not_valid_after(now + datetime.timedelta(days=days[1]))
    builder = builder.add_extension(
        x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    return builder.sign(issuer_key or key, hashes.SHA256())


def certificate_pem(one):
    return one.public_bytes(serialization.Encoding.PEM)


def serial_of(one):
    return f"{one.serial_number:X}"


def alipay_sn(one):
    """Alipay's number of a certificate: MD5 over issuer and decimal serial."""
    return hashlib.md5((one.issuer.rfc4514_string() + str(one.serial_number)).encode()).hexdigest()


def china_time(form="%Y-%m-%d %H:%M:%S", back=5):
    return time.strftime(form, time.gmtime(time.time() + 8 * 3600 - back))


class Message:
    """One callback. `target`, `headers` and `body` are what goes over the wire."""
    channel = ""
    content_type = ""

    def __init__(self, account):
        self.account = account
        self.target = f"/payment/{account.name}/callback"
        self.headers = [("Content-Type", self.content_type)]
        self.body = b""

    def clone(self):
        """A copy to be bent; the account and its keys stay the same objects."""
        other = copy.copy(self)
        other.headers = list(self.headers)
        return other

    def with_header(self, name, value):
        """Replaces a header, or takes it away where the value is None."""
        other = self.clone()
        other.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()]
        if value is not None:
            other.headers.append((name, value))
        return other

    def with_more(self, name, value):
        other = self.clone()
        other.headers.append((name, value))
        return other

    def with_body(self, body):
        other = self.clone()
        other.body = body
        return other

    def to(self, target):
        other = self.clone()
        other.target = target
        return other

    def header(self, name):
        return next(v for n, v in self.headers if n.lower() == name.lower())

    def raw(self):
        return wire.request(self.target, self.body, self.headers)

    def head(self, *lines):
        """The request's head with `lines` in place of Content-Length."""
        fields = [f"POST {self.target} HTTP/1.1".encode(), b"Host: " + wire.HOST.encode()]
        fields += [wire.encode(n) + b": " + wire.encode(v) for n, v in self.headers]
        return b"\r\n".join(fields + [wire.encode(line) for line in lines]) + b"\r\n\r\n"


def quote(value):
    return urllib.parse.quote_plus(value if isinstance(value, bytes) else value.encode(), safe="")


class Alipay(Message):
    channel = "alipay"
    content_type = FORM + "; charset=utf-8"

    def __init__(self, account, number, total="100.00", **fields):
        super().__init__(account)
        unique = hashlib.sha256(f"{number}{time.monotonic_ns()}".encode()).hexdigest()
        self.fields = {
            "app_id": account.app_id, "auth_app_id": account.app_id, "charset": "utf-8",
            "buyer_id": "2088102117412345", "gmt_create": china_time(back=9),
            "gmt_payment": china_time(), "notify_id": unique[:34],
            "notify_time": china_time(back=1),
            "notify_type": "trade_status_sync", "out_trade_no": number,
            "seller_id": account.seller_id, "subject": "Annual plan", "total_amount": total,
            "trade_no": "2026" + str(int(unique[:16], 16)).zfill(24)[-24:],
            "trade_status": "TRADE_SUCCESS", "version": "1.0", "sign_type": "RSA2"}
        if account.certificate is not None:
            self.fields["alipay_cert_sn"] = alipay_sn(account.certificate)
        self.set(**fields)

    def clone(self):
        other = super().clone()
        other.fields = dict(self.fields)
        return other

    def set(self, **fields):
        """Changes fields (None takes one away) and signs."""
        for name, value in fields.items():
            if value is None:
                self.fields.pop(name, None)
            else:
                self.fields[name] = value
        return self.sign()

    def spoiled(self, **fields):
        """A copy with other fields under the old signature."""
        other, sign = self.clone(), self.fields["sign"]
        other.set(**fields)
        other.fields["sign"] = fields.get("sign", sign)
        if other.fields["sign"] is None:
            del other.fields["sign"]
        return other.with_body(other.form())

    def signing_text(self):
        covered = sorted((wire.encode(n), wire.encode(v)) for n, v in self.fields.items()
                         if n not in ("sign", "sign_type"))
        return b"&".join(name + b"=" + value for name, value in covered)

    def sign(self, key=None, digest=None):
        signature = rsa_sign(key or self.account.key, self.signing_text(), digest)
        return self.put_signature(signature)

    def put_signature(self, signature):
        self.fields["sign"] = base64.b64encode(signature).decode()
        self.body = self.form()
        return self

    def signature(self):
        return base64.b64decode(self.fields["sign"])

    def with_signature(self, signature):
        """A copy under another signature: bytes, or a text that need not be base64."""
        other = self.clone()
        other.fields["sign"] = (base64.b64encode(signature).decode()
                                if isinstance(signature, bytes) else signature)
        if signature is None:
            del other.fields["sign"]
        return other.with_body(other.form())

    def pairs(self):
        return [quote(name) + "=" + quote(value) for name, value in self.fields.items()]

    def form(self):
        return "&".join(self.pairs()).encode()


def wechat_id(number):
    seen = hashlib.sha256(f"{number}{time.monotonic_ns()}".encode()).hexdigest()
    return "42000" + str(int(seen[:16], 16)).zfill(23)[-23:]


class WechatV3(Message):
    channel = "wechatpay-v3"
    content_type = JSON

    def __init__(self, account, number, minor=10000, **members):
        super().__init__(account)
        self.plain = {
            "appid": account.app_id, "mchid": account.merchant_id, "out_trade_no": number,
            "transaction_id": wechat_id(number), "trade_type": "JSAPI", "trade_state": "SUCCESS",
            "success_time": china_time("%Y-%m-%dT%H:%M:%S+08:00"),
            "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
            "amount": {"total": minor, "payer_total": minor, "currency": "CNY"}}
        self.plain.update(members)
        self.event_type, self.original_type = "TRANSACTION.SUCCESS", "transaction"
        self.resource = {"algorithm": "AEAD_AES_256_GCM", "associated_data": "transaction",
                         "nonce": "fdasflkja484"}
        self.timestamp, self.nonce = str(int(time.time())), "d8d2c0f7a9b14e0f"
        self.id = hashlib.md5(f"{number}{time.monotonic_ns()}".encode()).hexdigest()
        self.plaintext = None  # in place of `plain`, as bytes
        self.sign()

    def clone(self):
        other = super().clone()
        other.plain, other.resource = copy.deepcopy(self.plain), dict(self.resource)
        return other

    def refund(self, refund_id, refund, payment_id, state="SUCCESS"):
        self.event_type, self.original_type = f"REFUND.{state}", "refund"
        for member in ("appid", "trade_state", "trade_type", "payer"):
            self.plain.pop(member, None)
        self.plain.update({"transaction_id": payment_id, "refund_id": refund_id,
                           "out_refund_no": "R" + refund_id, "refund_status": state})
        self.plain["amount"].update({"refund": refund, "payer_refund": refund})
        return self.sign()

    def say(self, **members):
        """Changes members of the plaintext (None takes one away) and signs."""
        for name, value in members.items():
            if value is None:
                self.plain.pop(name, None)
            else:
                self.plain[name] = value
        return self.sign()

    def say_text(self, text):
        """Seals this very text and signs."""
        self.plaintext = wire.encode(text)
        return self.sign()

    def plain_text(self):
        if self.plaintext is not None:
            return self.plaintext
        return json.dumps(self.plain, ensure_ascii=False).encode()

    def sealed(self, key=None):
        aead = AESGCM((key or self.account.api_key).encode())
        return aead.encrypt(wire.encode(self.resource["nonce"]), self.plain_text(),
                            wire.encode(self.resource["associated_data"]))

    def envelope(self, ciphertext=None):
        return {"id": self.id, "create_time": china_time("%Y-%m-%dT%H:%M:%S+08:00"),
                "resource_type": "encrypt-resource", "event_type": self.event_type,
                "summary": "s", "resource": {
                    "original_type": self.original_type, **self.resource,
                    "ciphertext": base64.b64encode(ciphertext or self.sealed()).decode()}}

    def sign(self, key=None, digest=None):
        return self.sign_body(json.dumps(self.envelope()).encode(), key, digest)

    def sign_body(self, body, key=None, digest=None):
        self.body = body
        return self.put_signature(
            rsa_sign(key or self.account.key, self.signing_text(), digest))

    def signing_text(self):
        return (self.timestamp + "\n" + self.nonce + "\n").encode() + self.body + b"\n"

    def put_signature(self, signature):
        self.headers = [("Content-Type", JSON), ("Wechatpay-Timestamp", self.timestamp),
                        ("Wechatpay-Nonce", self.nonce), ("Wechatpay-Serial", self.account.serial),
                        ("Wechatpay-Signature", base64.b64encode(signature).decode())]
        return self

    def signature(self):
        return base64.b64decode(self.header("Wechatpay-Signature"))

    def with_signature(self, signature):
        text = (base64.b64encode(signature).decode() if isinstance(signature, bytes)
                else signature)
        return self.with_header("Wechatpay-Signature", text)


class WechatV2(Message):
    channel = "wechatpay-v2"
    content_type = XML

    def __init__(self, account, number, minor=10000, **fields):
        super().__init__(account)
        self.fields = {
            "appid": account.app_id, "mch_id": account.merchant_id, "attach": "x",
            "bank_type": "CFT", "cash_fee": str(minor), "fee_type": "CNY", "device_info": "",
            "nonce_str": hashlib.md5(number.encode()).hexdigest(), "out_trade_no": number,
            "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "result_code": "SUCCESS",
            "return_code": "SUCCESS", "time_end": china_time("%Y%m%d%H%M%S"),
            "total_fee": str(minor), "transaction_id": wechat_id(number),
            "sign_type": account.sign_type}
        self.set(**fields)

    def clone(self):
        other = super().clone()
        other.fields = dict(self.fields)
        return other

    def set(self, **fields):
        for name, value in fields.items():
            if value is None:
                self.fields.pop(name, None)
            else:
                self.fields[name] = value
        return self.sign()

    def spoiled(self, **fields):
        other, sign = self.clone(), self.fields["sign"]
        other.set(**fields)
        return other.with_signature(sign)

    def signing_text(self, key):
        text = "&".join(f"{n}={v}" for n, v in sorted(self.fields.items()) if v and n != "sign")
        return (text + "&key=" + key).encode()

    def sign(self, key=None, sign_type=None):
        key, sign_type = key or self.account.api_key, sign_type or self.account.sign_type
        text = self.signing_text(key)
        made = (hashlib.md5(text) if sign_type == "MD5"
                else hmac.new(key.encode(), text, hashlib.sha256))
        self.fields["sign"] = made.hexdigest().upper()
        self.body = self.xml()
        return self

    def signature(self):
        return self.fields["sign"]

    def with_signature(self, signature):
        other = self.clone()
        other.fields["sign"] = signature
        if signature is None:
            del other.fields["sign"]
        return other.with_body(other.xml())

    def elements(self):
        return [f"<{n}><![CDATA[{v}]]></{n}>" for n, v in self.fields.items()]

    def xml(self, more=""):
        return ("<xml>" + "".join(self.elements()) + more + "</xml>").encode()

    def replaced(self, name, element):
        """A copy with `element` in place of the one of that name, under the old signature."""
        text = self.xml().decode()
        old = f"<{name}><![CDATA[{self.fields[name]}]]></{name}>"
        assert old in text
        return self.with_body(text.replace(old, element).encode())


class WechatV2Refund(Message):
    channel = "wechatpay-v2"
    content_type = XML

    def __init__(self, account, number, refund=2000, **fields):
        super().__init__(account)
        self.inner = {"out_trade_no": number, "transaction_id": wechat_id(number),
                      "refund_id": wechat_id(number), "out_refund_no": "RF1", "total_fee": "10000",
                      "refund_fee": str(refund), "refund_status": "SUCCESS",
                      "success_time": china_time()}
        self.inner.update(fields)
        self.seal(self.inner_xml())

    def inner_xml(self):
        return ("<root>" + "".join(f"<{n}>{xml.sax.saxutils.escape(v)}</{n}>"
                                   for n, v in self.inner.items()) + "</root>").encode()

    def seal(self, plain, key=None, pad=True):
        """Encrypts the inner text as it is; without `pad` its length must be whole blocks."""
        secret = hashlib.md5((key or self.account.api_key).encode()).hexdigest().encode()
        if pad:
            left = 16 - len(plain) % 16
            plain += bytes([left]) * left
        encryptor = Cipher(algorithms.AES(secret), modes.ECB()).encryptor()
        return self.put(base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode())

    def put(self, req_info):
        self.body = ("<xml><return_code>SUCCESS</return_code>"
                     f"<appid><![CDATA[{self.account.app_id}]]></appid>"
                     f"<mch_id><![CDATA[{self.account.merchant_id}]]></mch_id>"
                     "<nonce_str><![CDATA[TeqClE3i0mvn3DrK]]></nonce_str>"
                     f"<req_info><![CDATA[{req_info}]]></req_info></xml>").encode()
        return self


def private_text(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()

"""The register of rows, and what a row asserts with."""
import contextlib
import fnmatch

import messages
import rig
import wire

GROUPS = "HSAWPJXBRLO"


class Failed(AssertionError):
    """A row does not hold."""


class Skipped(Exception):
    """A row has no place in a quick run."""


class Row:
    def __init__(self, name, title, run, needs=None, test="", command=()):
        self.name, self.title, self.run, self.needs = name, title, run, needs
        self.test, self.command = test, command


ROWS = {}


def row(name, title, needs=None):
    """Registers a function as a row.

    @param needs  a piece of configuration that the daemon has to know for the row to make sense:
                  (lines for [server], lines for account alipay). Where not, the row is pending
    """
    def register(run):
        assert name not in ROWS, name
        ROWS[name] = Row(name, title, run, needs)
        return run
    return register


def elsewhere(name, title, test, command=()):
    """Registers a row that another test proves, by its name in ctest.

    @param command  what runs the part that proves it, from the everyday build's folder
    """
    assert name not in ROWS, name
    ROWS[name] = Row(name, title, None, test=test, command=command or (
        "ctest", "--no-tests=error", "-R", f"^{test}$"))


def chosen(patterns):
    """The rows that "H,L05,S1*" names, group after group."""
    names = sorted(ROWS, key=lambda name: (GROUPS.index(name[0]), name))
    if not patterns:
        return [ROWS[name] for name in names]
    wanted = [part if len(part) > 1 else part + "*" for part in patterns.split(",")]
    return [ROWS[name] for name in names
            if any(fnmatch.fnmatchcase(name, one) for one in wanted)]


class Case:
    """One row at work: sends, asserts, and counts its inputs."""

    def __init__(self, site, quick, scratch):
        self.site, self.quick, self.scratch = site, quick, scratch
        self.inputs, self.notes = 0, []
        self.label = ""

    def require(self, holds, what):
        if not holds:
            raise Failed(f"{self.label}: {what}" if self.label else what)

    def sampled(self, things, count, quick=None):
        """At most `count` of `things`, spread evenly; `quick` of them in a quick run."""
        things = list(things)
        most = (quick or max(count // 10, 1)) if self.quick else count
        if len(things) <= most:
            return things
        return [things[i * len(things) // most] for i in range(most)]

    @contextlib.contextmanager
    def nothing_recorded(self):
        before = self.site.trace()
        yield
        after = self.site.trace()
        self.require(before == after, f"something was recorded: {before} became {after}")

    # NOAUTH, and BAD inside of a well-formed request ----------------------------------------------

    def expect_refusal(self, answer, channel):
        code, content_type, body = rig.REFUSED[channel]
        told = (answer.code, answer.headers.get("content-type"), answer.body)
        self.require(told == (code, content_type, body), f"answered {told}, not as every refusal")
        extra = set(answer.headers) - {"content-type", "content-length", "date", "connection",
                                       "server"}
        self.require(not extra, f"the refusal has further headers: {extra}")

    def refused(self, inputs, why=None):
        """Every (label, message) gets the uniform refusal, and nothing is recorded.

        @param why  the codes the operator may find as the reason; not asked where None
        """
        with self.nothing_recorded():
            for self.label, message in inputs:
                self.inputs += 1
                answer = self.site.post(message)
                self.expect_refusal(answer, message.channel)
                if why is not None:
                    found = self.site.reason(message.account.name)
                    self.require(found in why, f"refused for {found}, not for {' or '.join(why)}")
            self.label = ""

    # OK, DUP, QUAR --------------------------------------------------------------------------------

    def expect_ack(self, answer, channel):
        told = (answer.code, answer.body)
        self.require(told == rig.ACCEPTED[channel], f"answered {told}, not with the ack")

    def acked(self, message, label=""):
        self.label = label
        self.inputs += 1
        self.expect_ack(self.site.post(message), message.channel)
        self.label = ""

    def pays(self, message, number, label="", merchant="default"):
        """The message is acked, and its order then paid by one event."""
        self.acked(message, label)
        self.label = label
        self.expect_state(number, "paid", merchant)
        self.expect_events(number, {"order.paid": 1}, merchant)
        self.label = ""

    def expect_state(self, number, state, merchant="default"):
        found = self.site.state(number, merchant)
        self.require(found == state, f"{number} is {found}, not {state}")

    def expect_events(self, number, counts, merchant="default"):
        """How many events of each kind an order has, and each its delivery."""
        order = self.site.order(number, merchant)
        found = {}
        for event in order["events"]:
            found[event["type"]] = found.get(event["type"], 0) + 1
        self.require(found == counts, f"{number} has the events {found}, not {counts}")
        self.require(len(order["deliveries"]) == len(order["events"]),
                     f"{number} has {len(order['deliveries'])} deliveries")

    def without_effect(self, message, number, outcome, incident=None, label=""):
        """Acked and kept as `outcome`, with an incident, and the order is as it was (QUAR)."""
        before = self.site.order(number) if number else None
        count = len(self.site.incidents(incident)) if incident else 0
        self.acked(message, label)
        self.label = label
        newest = self.site.get("/v1/callbacks?limit=1")["callbacks"][0]
        self.require(newest["outcome"] == outcome, f"kept as {newest['outcome']}, not {outcome}")
        if number:
            after = self.site.order(number)
            for part in ("state", "paid", "refunded"):
                self.require(before["order"][part] == after["order"][part],
                             f"{part} of {number} became {after['order'][part]}")
            self.require(not [e for e in after["events"] if e["type"] == "order.paid"]
                         or before["order"]["state"] != "awaiting", "an unpaid order was told paid")
        if incident:
            self.require(len(self.site.incidents(incident)) > count, f"no incident {incident}")
        self.label = ""

    def alerts(self, message, code):
        """How often an identity_mismatch of that code was counted."""
        return sum(one["count"] for one in self.site.incidents("identity_mismatch")
                   if one["subject"] == f"{message.account.name}/{code}")

    def identity_refused(self, inputs, code):
        """Refused for `code`, and each of them counts in an incident."""
        for label, message in inputs:
            self.label = label
            before = self.alerts(message, code)
            with self.nothing_recorded():
                self.inputs += 1
                self.expect_refusal(self.site.post(message), message.channel)
            self.require(self.site.reason(message.account.name) == code,
                         f"refused for {self.site.reason(message.account.name)}, not {code}")
            self.require(rig.wait_until(lambda: self.alerts(message, code) > before, 3),
                         "no alert")
        self.label = ""

    # BAD, LIMIT -----------------------------------------------------------------------------------

    def broken(self, inputs, codes=(400,), after=None, timeout=3.0):
        """Every (label, bytes) is answered with one of `codes` and the connection closed; a genuine
        second request behind it is never seen.

        @param after  the second request; a payment of an order of its own where None
        """
        number = self.site.register()
        smuggled = after if after is not None else self.site["wechat-v2"].pay(number).raw()
        with self.nothing_recorded():
            for self.label, data in inputs:
                self.inputs += 1
                answers, closed = self.site.exchange(data + smuggled, timeout)
                told = [answer.code for answer in answers]
                self.require(len(told) == 1 and told[0] in codes,
                             f"answered {told}, not one of {codes}")
                self.require(answers[0].body == b"", f"said {answers[0].body!r}")
                self.require(closed, "the connection was left open")
            self.label = ""
        self.expect_state(number, "awaiting")

    def genuine(self, account="wechat-v2", minor=10000):
        """(number of a registered order, a genuine payment of it)."""
        own = self.site[account]
        merchant = "shop-b" if account.endswith("-b") else "default"
        number = self.site.register(minor=minor, merchant=merchant)
        return number, own.pay(number, minor)

    def control(self, account="wechat-v2"):
        """An honest message is accepted and has its effect: the rig is not deaf."""
        merchant = "shop-b" if account.endswith("-b") else "default"
        number, message = self.genuine(account)
        self.pays(message, number, f"control of {account}", merchant)


EACH_CHANNEL = ("alipay", "wechat", "wechat-v2")

__all__ = ["Case", "EACH_CHANNEL", "Failed", "ROWS", "Skipped", "chosen", "elsewhere", "messages",
           "rig", "row", "wire"]

"""What is done to the fleet, one thing after the other; each is over when the fleet says that all is well again."""

import asyncio
import collections
import itertools
import json
import signal
import time

import client
import content
import fleet
from client import Lost, Wrong, request
from fleet import DRAIN, until
from ordinary import expect

#: Seconds that the store is away: more than `max_lag`, so that the sidecars are fenced meanwhile.
AWAY = 3
#: Connections that are opened as a sidecar is told to stop.
AT_THE_DOOR, DOOR_SECONDS = 100, 0.03


class Faults:
    def __init__(self, soak):
        self.soak, self.fleet, self.tally = soak, soak.fleet, soak.tally
        self.markers = itertools.count(1)
        self.last = "none yet"
        self.kinds = [
            ("Redis killed, begins empty", self.redis_empty),
            ("rules wrong, then right, each sidecar told in its way", self.reload),
            ("sidecar b stopped by SIGTERM and started anew", self.restart),
            ("Redis killed, begins with what it had seconds before", self.redis_saved),
            ("Redis hangs", self.redis_hangs),
        ]

    async def go_on(self, every):
        """One of them each `every` seconds, until nobody wants more."""
        for name, fault in itertools.cycle(self.kinds):
            if await self.soak.stopped_within(every):
                return
            await self.one(name, fault)

    async def one(self, name, fault):
        begun = time.monotonic()
        try:
            await fault()
            await self.all_well()
        except (Wrong, OSError) as error:
            self.tally.wrong(name, f"{type(error).__name__}: {error}")
        self.tally.faults[name] += 1
        self.last = f"{name}, over after {time.monotonic() - begun:.1f} s"

    async def all_well(self):
        """Nothing waits, and nothing is wrong."""
        for place, sidecar in self.fleet.sidecars.items():
            await until(f"{place} is well", sidecar.has_ok)
            await until(f"the outbox of {place} is empty", lambda: self.is_empty(sidecar))

    async def is_empty(self, sidecar):
        return (await sidecar.metrics())["tagalong_outbox"] == 0

    async def redis_empty(self):
        self.fleet.redis.forget()
        await self.redis_killed()

    async def redis_saved(self):
        """What is written in the seconds after it was saved is lost to it."""
        await self.fleet.redis.save()
        await asyncio.sleep(2)
        await self.redis_killed()

    async def redis_killed(self):
        await self.fleet.redis.kill()
        await asyncio.sleep(AWAY)
        await self.fleet.redis.start()

    async def redis_hangs(self):
        self.fleet.redis.process.signal(signal.SIGSTOP)
        await asyncio.sleep(AWAY)
        self.fleet.redis.process.signal(signal.SIGCONT)

    async def restart(self):
        """As its operators are told to: not while increments wait."""
        sidecar = self.fleet.sidecars["b"]
        await until("the outbox of b is empty", lambda: self.is_empty(sidecar))
        sidecar.life.is_up = False
        at_the_door = [asyncio.ensure_future(self.knock(number)) for number in range(AT_THE_DOOR)]
        await asyncio.sleep(self.soak.random.random() * DOOR_SECONDS)
        begun = time.monotonic()
        sidecar.process.signal(signal.SIGTERM)
        code = await sidecar.process.ended(DRAIN + 5)
        took = time.monotonic() - begun
        if code is None:
            sidecar.process.popen.kill()
        await sidecar.start()
        lost = collections.Counter(filter(None, await asyncio.gather(*at_the_door)))
        if lost:
            self.tally.wrong("at the stop", f"LOST: of {AT_THE_DOOR} requests on new connections {dict(lost)}")
        if code != 0:
            raise Wrong(f"told to stop, b ends with {code} after {took:.1f} s")

    async def knock(self, number):
        """A request that comes as `b` is told to stop: its connection is refused, or it is answered. How it was lost, if it was."""
        page = number % content.CONSTANTS
        await asyncio.sleep(self.soak.random.random() * DOOR_SECONDS)
        try:
            connection = await client.knock(self.fleet.sidecars["b"].port, request("GET", f"/constant/{page}"))
        except ConnectionRefusedError:
            return self.tally.count("at the stop", "refused")
        except ConnectionError as error:
            return f"while it was sent: {error}"
        try:
            answer = await connection.answer()
        except Lost as lost:
            return str(lost)
        finally:
            connection.close()
        expect(answer, 200, content.constant(page), f"/constant/{page}")
        return self.tally.count("at the stop", answer.words())

    async def reload(self):
        """What is wrong changes nothing; what is right is in force when it was found, or when somebody says so."""
        a, b = self.fleet.sidecars.values()
        for sidecar in (a, b):
            sidecar.write_rules("rules: [{ id: page, match: { path: '/page/(' }, tll: 1m }]")
        status, said = await a.call("/v1/reload", method="POST")
        if status != 422 or len(said["mistakes"]) < 2:
            raise Wrong(f"wrong rules, and a says {status}: {said}")
        await until("b has found that its rules are wrong", lambda: self.has_failed(b, 1))
        marker = f"marker-{next(self.markers)}"
        for sidecar in (a, b):
            sidecar.write_rules(json.dumps(fleet.rules(marker)))
        a.process.signal(signal.SIGHUP)
        for sidecar in (a, b):
            await until(f"{sidecar.place} has {marker}", lambda: self.has_rule(sidecar, marker))
            await until(f"{sidecar.place} says its rules are right", lambda: self.has_failed(sidecar, 0))

    async def has_failed(self, sidecar, wanted):
        return (await sidecar.metrics())["tagalong_rules_reload_failed"] == wanted

    async def has_rule(self, sidecar, marker):
        _, rules = await sidecar.call("/v1/rules")
        return f'"{marker}"' in json.dumps(rules)

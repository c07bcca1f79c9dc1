# Varnish in front of the origin, with its built-in rules and nothing else. The harness fills in the word between @.
vcl 4.1;

backend app {
    .host = "127.0.0.1";
    .port = "@ORIGIN@";
}

#!/usr/bin/env bash
# Brings what the chart is checked with, unless it is there: helm and kubeconform, built in target/helm/bin, and the definitions of the
# Prometheus operator. Prints that folder. Two at once build one after the other.
set -euo pipefail

go=go1.26.8                 # builds these; helm 4.3 wants 1.26
helm=v4.3.1
kubeconform=v0.8.0          # checks objects against the schemas of Kubernetes
prometheus_operator=v0.85.0 # its CustomResourceDefinitions are in its module

here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../target/helm
mkdir -p "$work/bin"
work=$(cd "$work" && pwd)
exec 9>"$work/lock"
flock 9

# module MODULE@VERSION: the folder of its files, from the Go module proxy.
module() {
    (cd "$work" && go mod download -json "$1") | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'
}

# Go 1.21 and newer fetch another version by themselves, but not as Debian sets them up; Debian 12 has an older one. The module is what they
# would fetch. Files of modules are not executable.
new_enough_go() {
    local found folder
    found=$(go env GOVERSION)
    if [[ $(printf '%s\n' "$go" "$found" | sort -V | head -n 1) != "$go" ]]; then
        folder=$(module "golang.org/toolchain@v0.0.1-$go.$(go env GOOS)-$(go env GOARCH)")
        chmod u+x "$folder"/bin/* "$folder"/pkg/tool/*/*
        PATH=$folder/bin:$PATH
        export GOROOT=$folder
    fi
}

# built NAME PACKAGE VERSION: once.
built() {
    if [[ ! -x $work/bin/$1 || $(cat "$work/bin/$1.version" 2>/dev/null) != "$3" ]]; then
        (new_enough_go && GOBIN=$work/bin go install -trimpath -ldflags '-s -w' "$2@$3")
        echo "$3" >"$work/bin/$1.version"
    fi
}
built helm helm.sh/helm/v4/cmd/helm "$helm"
built kubeconform github.com/yannh/kubeconform/cmd/kubeconform "$kubeconform"

crds=$work/crds
if [[ $(cat "$crds/version" 2>/dev/null) != "$prometheus_operator" ]]; then
    files=$(module "github.com/prometheus-operator/prometheus-operator@$prometheus_operator")/example/prometheus-operator-crd
    mkdir -p "$crds"
    install -m 644 "$files"/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml "$crds"
    echo "$prometheus_operator" >"$crds/version"
fi
echo "$work"

{{/* tagalong.yaml: what of the values it is made of, and what must not be. */}}

{{/* Fails, in a sentence, where values are wrong together; each by itself is checked by values.schema.json. */}}
{{- define "tagalong.check" -}}
{{- $name := include "tagalong.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "No Service may be called %s: set fullnameOverride to a name of letters, digits and hyphens that begins with a letter." $name) -}}
{{- end -}}
{{- $own := .Values.config.upstream | default dict -}}
{{- $redis := .Values.store.redis -}}
{{- $ownRedis := dig "store" "redis" (dict) .Values.config | default dict -}}
{{- if and .Values.upstream.url (or $own.url $own.urls) -}}
{{- fail "upstream.url and config.upstream both say where the app is: keep one of them." -}}
{{- end -}}
{{- if not (or .Values.upstream.url $own.url $own.urls) -}}
{{- fail "upstream.url is missing: say where the app is, http://127.0.0.1:<port> for a sidecar or http://<service>:<port>." -}}
{{- end -}}
{{- range $field, $instead := dict "listen" "bindAddress and ports.http" "admin" "bindAddress, ports.admin and admin" "rules" "rules" -}}
{{- if hasKey $.Values.config $field -}}
{{- fail (printf "config.%s is written by the chart: use %s." $field $instead) -}}
{{- end -}}
{{- end -}}
{{- if or $ownRedis.url $ownRedis.url_env $ownRedis.url_file -}}
{{- fail "config.store.redis says where the shared store is: use store.redis.existingSecret, or store.redis.url." -}}
{{- end -}}
{{- if gt (len (compact (list $redis.existingSecret $redis.url (ternary "valkey" "" .Values.valkey.enabled)))) 1 -}}
{{- fail "store.redis.existingSecret, store.redis.url and valkey.enabled each say where the shared store is: keep one of them." -}}
{{- end -}}
{{- if and $ownRedis (not (include "tagalong.isShared" .)) -}}
{{- fail "config.store.redis is of no use without a shared store: set store.redis.existingSecret or store.redis.url." -}}
{{- end -}}
{{- if and .Values.rules .Values.existingRulesConfigMap -}}
{{- fail "rules and existingRulesConfigMap both say what the rules are: keep one of them." -}}
{{- end -}}
{{- if eq (int .Values.ports.http) (int .Values.ports.admin) -}}
{{- fail (printf "ports.http and ports.admin are both %v: clients and operators need a port each." .Values.ports.http) -}}
{{- end -}}
{{- $several := or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}
{{- if and (eq (include "tagalong.mode" .) "standalone") $several (not .Values.allowUnshared) (not (include "tagalong.isShared" .)) -}}
{{- fail "Several replicas without a shared store would serve old pages, as an increment through one is not heard of by the others: set store.redis, or allowUnshared if that is fine." -}}
{{- end -}}
{{- end -}}

{{/* Whether replicas share a store: a word, or nothing. */}}
{{- define "tagalong.isShared" -}}
{{- if or .Values.store.redis.existingSecret .Values.store.redis.url .Values.valkey.enabled -}}shared{{- end -}}
{{- end -}}

{{/* tagalong.yaml. Secrets are named in it, and in the environment of the container. */}}
{{- define "tagalong.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if not $config.namespace -}}
{{- $_ := set $config "namespace" (include "tagalong.namespace" .) -}}
{{- end -}}
{{- $_ := set $config "listen" (list (include "tagalong.address" (list .Values.bindAddress .Values.ports.http))) -}}
{{- if .Values.upstream.url -}}
{{- $_ := set $config "upstream" (merge (dict "url" .Values.upstream.url) ($config.upstream | default dict)) -}}
{{- end -}}
{{- $tokens := list -}}
{{- range $index, $token := .Values.admin.tokens -}}
{{- $tokens = append $tokens (dict "name" $token.name "token_env" (printf "TAGALONG_ADMIN_TOKEN_%d" $index)) -}}
{{- end -}}
{{- $admin := dict "listen" (include "tagalong.address" (list .Values.bindAddress .Values.ports.admin)) "token_env" "TAGALONG_ADMIN_TOKEN" -}}
{{- if $tokens -}}
{{- $_ := set $admin "tokens" $tokens -}}
{{- end -}}
{{- $_ := set $config "admin" $admin -}}
{{- $_ := set $config "rules" "../rules" -}}
{{- if include "tagalong.isShared" . -}}
{{- $redis := dig "redis" (dict) ($config.store | default dict) | default dict -}}
{{- if include "tagalong.redisKey" . -}}
{{- $_ := set $redis "url_env" "TAGALONG_REDIS_URL" -}}
{{- else -}}
{{- $_ := set $redis "url" .Values.store.redis.url -}}
{{- end -}}
{{- $_ := set $config "store" (merge (dict "redis" $redis) ($config.store | default dict)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* No two releases share tags unless they are told to: a Kubernetes namespace has no dot in its name. Tagalong takes 64 characters; what is
longer ends with a hash of the whole. */}}
{{- define "tagalong.namespace" -}}
{{- $whole := printf "%s.%s" .Release.Namespace (include "tagalong.fullname" .) -}}
{{- ternary $whole (printf "%s-%s" (trunc 51 $whole) (sha256sum $whole | trunc 12)) (le (len $whole) 64) -}}
{{- end -}}

{{/* An address and a port, as `listen` wants them. */}}
{{- define "tagalong.address" -}}
{{- $host := index . 0 -}}
{{- printf "%s:%d" (ternary (printf "[%s]" $host) $host (contains ":" $host)) (int (index . 1)) -}}
{{- end -}}

{{/* The rule files: name and text of each; nothing: there are none. */}}
{{- define "tagalong.rules" -}}
{{- $files := dict -}}
{{- range $name, $content := .Values.rules -}}
{{- $_ := set $files $name (ternary $content (printf "%s\n" (toYaml $content)) (kindIs "string" $content)) -}}
{{- end -}}
{{- if $files -}}
{{- toYaml $files -}}
{{- end -}}
{{- end -}}

{{/* What restarts pods: annotations, or nothing. Of the configuration that is what is read at start alone (docs/rules.md, "Reloading"). */}}
{{- define "tagalong.checksums" -}}
{{- if .Values.restart.onConfig -}}
{{- $config := include "tagalong.config" . | fromYaml -}}
{{- range list "defaults" "templates" "epoch" "unmatched" -}}
{{- $_ := unset $config . -}}
{{- end -}}
{{- if $config.tags -}}
{{- $_ := set $config "tags" (omit $config.tags "consistency") -}}
{{- if not $config.tags -}}
{{- $_ := unset $config "tags" -}}
{{- end -}}
{{- end }}
checksum/tagalong-config: {{ toYaml $config | sha256sum }}
{{- end }}
{{- if .Values.restart.onRules }}
checksum/tagalong-rules: {{ include "tagalong.rules" . | sha256sum }}
{{- end -}}
{{- end -}}

{{/* Whole seconds, rounded up, of a duration as Tagalong reads it. */}}
{{- define "tagalong.seconds" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+" $text | float64 -}}
{{- $unit := regexReplaceAll "^[0-9.]+\\s*" $text "" -}}
{{- ceil (mulf $number (get (dict "ms" 0.001 "" 1.0 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0) $unit)) | int -}}
{{- end -}}

{{/* Whole MiB, rounded up, of a size as Tagalong reads it. */}}
{{- define "tagalong.mebibytes" -}}
{{- $text := toString . -}}
{{- if kindIs "float64" . -}}
{{- $text = printf "%.0f" . -}}
{{- end -}}
{{- $number := regexFind "^\\s*[0-9]+" $text | trim | float64 -}}
{{- $unit := regexReplaceAll "^\\s*[0-9]+\\s*" $text "" | trim -}}
{{- ceil (divf (mulf $number (get (dict "" 1.0 "B" 1.0 "KiB" 1024.0 "MiB" 1048576.0 "GiB" 1073741824.0) $unit)) 1048576.0) | int -}}
{{- end -}}

{{/* How long what runs may take to finish, in seconds. */}}
{{- define "tagalong.drainSeconds" -}}
{{- include "tagalong.seconds" (.Values.config.drain | default "10s") -}}
{{- end -}}

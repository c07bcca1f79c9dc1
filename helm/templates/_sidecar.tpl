{{/*
The sidecar, for pods of a host chart that has this one as a dependency. Each takes the context of this chart, which the host has as
`.Subcharts.tagalong`, and gives lines without indentation, or nothing:

  metadata.labels          tagalong.sidecar.labels          by which the admin Service and the network policy find the pod
  metadata.annotations     tagalong.sidecar.annotations     what restarts pods when the configuration changes
  spec.initContainers      tagalong.sidecar.initContainers  the container, where the cluster has native sidecars
  spec.containers          tagalong.sidecar.containers      the container, where it has not
  spec.volumes             tagalong.sidecar.volumes
  the app's lifecycle      tagalong.sidecar.appLifecycle    keeps the app up for as long as requests may come
  the grace period         tagalong.sidecar.graceSeconds    what that takes; the app's own time comes on top
  the app's Service        tagalong.sidecar.targetPort      where it sends clients

tests/helm/host is such a chart.
*/}}

{{- define "tagalong.sidecar.labels" -}}
{{- include "tagalong.podLabels" . -}}
{{- end -}}

{{- define "tagalong.sidecar.annotations" -}}
{{- include "tagalong.checksums" . | trim -}}
{{- end -}}

{{- define "tagalong.sidecar.initContainers" -}}
{{- if include "tagalong.sidecar.isNative" . -}}
- restartPolicy: Always
  {{- include "tagalong.container" . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "tagalong.sidecar.containers" -}}
{{- if not (include "tagalong.sidecar.isNative" .) -}}
- {{- include "tagalong.container" . | nindent 2 | trimPrefix "\n " }}
{{- end -}}
{{- end -}}

{{- define "tagalong.sidecar.volumes" -}}
- name: tagalong-config
  configMap: { name: {{ include "tagalong.fullname" . }}-config }
- name: tagalong-rules
  configMap: { name: {{ include "tagalong.rulesConfigMap" . }} }
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A number: before Kubernetes 1.32 Services find no port of a native sidecar by its name, and some load balancers do not yet. */}}
{{- define "tagalong.sidecar.targetPort" -}}
{{- .Values.ports.http -}}
{{- end -}}

{{/* A native sidecar outlives the app; one that does not is told to end together with it, and drains first. */}}
{{- define "tagalong.sidecar.appLifecycle" -}}
{{- $seconds := include "tagalong.sidecar.appWaits" . | int -}}
{{- if $seconds -}}
preStop:
  {{- if include "tagalong.canSleep" . }}
  sleep: { seconds: {{ $seconds }} }
  {{- else }}
  exec: { command: [sleep, {{ $seconds | quote }}] }
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "tagalong.sidecar.graceSeconds" -}}
{{- add .Values.preStopSeconds (include "tagalong.drainSeconds" .) 5 -}}
{{- end -}}

{{- define "tagalong.sidecar.appWaits" -}}
{{- $drain := ternary 0 (include "tagalong.drainSeconds" . | int) (include "tagalong.sidecar.isNative" . | not | not) -}}
{{- add .Values.preStopSeconds $drain -}}
{{- end -}}

{{/* A word, or nothing. */}}
{{- define "tagalong.sidecar.isNative" -}}
{{- $has := semverCompare ">=1.29-0" .Capabilities.KubeVersion.Version -}}
{{- if or (eq .Values.sidecar.native "always") (and $has (eq .Values.sidecar.native "auto")) -}}native{{- end -}}
{{- end -}}

{{/* Whether the cluster waits without a program to do so: on by default from 1.30 on. A word, or nothing. */}}
{{- define "tagalong.canSleep" -}}
{{- if semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version -}}sleep{{- end -}}
{{- end -}}

{{/* The container, a sidecar's or alone. The image's entry point is the binary. */}}
{{- define "tagalong.container" -}}
name: tagalong
image: {{ include "tagalong.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/tagalong/config/tagalong.yaml]
ports:
  - { name: tagalong, containerPort: {{ .Values.ports.http }} }
  - { name: tagalong-admin, containerPort: {{ .Values.ports.admin }} }
env:
  {{- include "tagalong.env" . | nindent 2 }}
volumeMounts:
  # Folders, not files: a ConfigMap that is mounted by `subPath` stays as it was.
  - { name: tagalong-config, mountPath: /etc/tagalong/config, readOnly: true }
  - { name: tagalong-rules, mountPath: /etc/tagalong/rules, readOnly: true }
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
startupProbe:
  httpGet: { path: /readyz, port: tagalong-admin }
  {{- toYaml .Values.probes.startup | nindent 2 }}
readinessProbe:
  httpGet: { path: /readyz, port: tagalong-admin }
  {{- toYaml .Values.probes.readiness | nindent 2 }}
livenessProbe:
  httpGet: { path: /healthz, port: tagalong-admin }
  {{- toYaml .Values.probes.liveness | nindent 2 }}
{{- with include "tagalong.lifecycle" . }}
lifecycle:
  {{- . | nindent 2 }}
{{- end }}
resources:
  {{- include "tagalong.resources" . | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}

{{/* TAGALONG_ADMIN and TAGALONG_ADMIN_TOKEN are what `kubectl exec … -- tagalong stats` looks for, too. */}}
{{- define "tagalong.env" -}}
- name: TAGALONG_ADMIN
  value: http://127.0.0.1:{{ .Values.ports.admin }}
- name: TAGALONG_ADMIN_TOKEN
  valueFrom:
    secretKeyRef: {{ include "tagalong.tokenKey" . }}
{{- range $index, $token := .Values.admin.tokens }}
- name: TAGALONG_ADMIN_TOKEN_{{ $index }}
  valueFrom:
    secretKeyRef: {{ dict "name" $token.existingSecret "key" $token.key | toJson }}
{{- end }}
{{- with include "tagalong.redisKey" . }}
- name: TAGALONG_REDIS_URL
  valueFrom:
    secretKeyRef: {{ . }}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tagalong.lifecycle" -}}
{{- if .Values.lifecycle -}}
{{- toYaml .Values.lifecycle -}}
{{- else if and .Values.preStopSeconds (include "tagalong.canSleep" .) -}}
preStop:
  sleep: { seconds: {{ .Values.preStopSeconds }} }
{{- end -}}
{{- end -}}

{{/* Memory follows what may be stored: while large bodies come and go, resident size was seen at 1.35 × max_bytes + 50 MiB; the rest is room. */}}
{{- define "tagalong.resources" -}}
{{- $most := dig "store" "memory" "max_bytes" "256MiB" .Values.config | default "256MiB" -}}
{{- $memory := printf "%dMi" (add 64 (ceil (mulf 1.5 (include "tagalong.mebibytes" $most | float64)) | int)) -}}
{{- $resources := deepCopy .Values.resources -}}
{{- range list "limits" "requests" -}}
{{- $part := get $resources . | default dict -}}
{{- if not (hasKey $part "memory") -}}
{{- $_ := set $part "memory" (dig "limits" "memory" $memory $resources) -}}
{{- end -}}
{{- $_ := set $resources . $part -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* What things are called, and by which labels they are found. All take the context of this chart. */}}

{{/* The name of all objects. Short enough for the longest that is made of it, a Service, to have 63 characters. */}}
{{- define "tagalong.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* Whether this chart runs Tagalong by itself, or a host chart's pods do: `standalone` or `sidecar`. */}}
{{- define "tagalong.mode" -}}
{{- if ne .Values.mode "auto" -}}
{{- .Values.mode -}}
{{- else -}}
{{- ternary "standalone" "sidecar" .Chart.IsRoot -}}
{{- end -}}
{{- end -}}

{{/* By which pods with a Tagalong of this release are found, whoever made them. */}}
{{- define "tagalong.podLabels" -}}
tagalong: {{ include "tagalong.fullname" . }}
{{- end -}}

{{/* The labels of all objects. */}}
{{- define "tagalong.labels" -}}
{{ include "tagalong.commonLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Those that no upgrade changes: others on a pod template would replace its pods. */}}
{{- define "tagalong.commonLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "tagalong.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "tagalong.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "tagalong.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The ConfigMap with the rule files. */}}
{{- define "tagalong.rulesConfigMap" -}}
{{- .Values.existingRulesConfigMap | default (printf "%s-rules" (include "tagalong.fullname" .)) -}}
{{- end -}}

{{/* The Secret with the token of the admin interface, and the key in it: a JSON object, as `secretKeyRef` and a ServiceMonitor want it. */}}
{{- define "tagalong.tokenKey" -}}
{{- with .Values.admin -}}
{{- if .existingSecret -}}
{{- dict "name" .existingSecret "key" .key | toJson -}}
{{- else -}}
{{- dict "name" (include "tagalong.fullname" $) "key" "token" | toJson -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The same with the URL of the shared store; nothing: there is none, or its URL is no secret. */}}
{{- define "tagalong.redisKey" -}}
{{- with .Values.store.redis -}}
{{- if .existingSecret -}}
{{- dict "name" .existingSecret "key" .key | toJson -}}
{{- else if $.Values.valkey.enabled -}}
{{- dict "name" (include "tagalong.fullname" $) "key" "redis-url" | toJson -}}
{{- end -}}
{{- end -}}
{{- end -}}

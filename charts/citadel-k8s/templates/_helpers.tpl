{{- define "citadel.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if or (contains $name .Release.Name) (contains "citadel" .Release.Name) -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of one part: (dict "root" $ "part" "agent"); an empty part for what belongs to all. */}}
{{- define "citadel.labels" -}}
{{- if .part -}}
{{ include "citadel.selector" . }}
{{- else -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}
app.kubernetes.io/part-of: citadel-k8s
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a part's pods: none that a new version of the chart changes, or all would restart. */}}
{{- define "citadel.podLabels" -}}
{{ include "citadel.selector" . }}
app.kubernetes.io/part-of: citadel-k8s
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "citadel.selector" -}}
app.kubernetes.io/name: {{ include "citadel.fullname" .root }}-{{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* Reference of an image: (dict "image" … "tag" "used if it has none"). */}}
{{- define "citadel.image" -}}
{{- $name := .image.repository -}}
{{- if .image.registry -}}{{- $name = printf "%s/%s" .image.registry $name -}}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .tag .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "citadel.redisUrl" -}}
{{- if .Values.redis.embedded.enabled -}}
redis://{{ include "citadel.fullname" . }}-redis.{{ .Release.Namespace }}.svc:6379/0
{{- else -}}
{{- required "externalRedis.url is needed where redis.embedded.enabled is false" .Values.externalRedis.url -}}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the passwords; empty for none. */}}
{{- define "citadel.redisSecret" -}}
{{- if .Values.redis.embedded.enabled -}}
{{- include "citadel.fullname" . }}-redis
{{- else -}}
{{- .Values.externalRedis.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* Password of one role as an environment variable: (dict "root" $ "part" "agent"). */}}
{{- define "citadel.redisPassword" -}}
{{- with include "citadel.redisSecret" .root -}}
- name: CITADEL__REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.part }}-password
{{- end }}
{{- end -}}

{{/* The variables that a user adds; one that is set already would be refused by some clusters. */}}
{{- define "citadel.extraEnv" -}}
{{- $taken := dict "CITADEL__NODE_NAME" 1 "CITADEL__REDIS_PASSWORD" 1 "NVIDIA_VISIBLE_DEVICES" 1 "NVIDIA_DRIVER_CAPABILITIES" 1 -}}
{{- range . }}
{{- if hasKey $taken .name }}{{ fail (printf "extraEnv: %s is set twice" .name) }}{{ end }}
{{- $_ := set $taken .name 1 }}
{{- end }}
{{- with . }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Settings that all processes share, as YAML; empty ones are left out. */}}
{{- define "citadel.settings" -}}
redisUrl: {{ include "citadel.redisUrl" . }}
{{- with .Values.orgId }}
orgId: {{ . | quote }}
{{- end }}
intervalSeconds: {{ .Values.heartbeat.intervalSeconds }}
logLevel: {{ .Values.log.level }}
logFormat: {{ .Values.log.format }}
{{- end -}}

{{- define "citadel.username" -}}
{{- if .root.Values.redis.embedded.enabled -}}
{{- .part -}}
{{- else if .root.Values.externalRedis.existingSecret -}}
{{- get .root.Values.externalRedis (printf "%sUsername" .part) -}}
{{- end -}}
{{- end -}}

{{- define "citadel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

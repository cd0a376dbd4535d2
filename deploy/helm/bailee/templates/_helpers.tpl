{{- define "bailee.name" -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "bailee.selector" -}}
app.kubernetes.io/name: bailee
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bailee.labels" -}}
{{ include "bailee.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

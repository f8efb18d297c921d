{{- define "likeness.name" -}}
{{- if contains "likeness" .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{- else -}}{{ printf "%s-likeness" .Release.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "likeness.selector" -}}
app.kubernetes.io/name: likeness
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "likeness.labels" -}}
{{ include "likeness.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "likeness.metadata" -}}
name: {{ include "likeness.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "likeness.labels" . | nindent 2 }}
{{- end -}}

{{- define "likeness.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "likeness.scheme" -}}
{{- if ne .Values.probes.scheme "HTTP" }}, scheme: {{ .Values.probes.scheme }}{{ end -}}
{{- end -}}

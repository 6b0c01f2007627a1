{{- define "full.name" -}}
{{- printf "%s-%s" .Release.Name .Values.name | trunc 63 | trimSuffix "-" -}}
{{- end }}
{{- define "full.labels" -}}
app: {{ include "full.name" . | quote }}
chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
app-version: {{ .Chart.AppVersion | quote }}
{{- end }}
{{- define "full.count" -}}
{{- $n := index . 0 }}{{- if gt $n 0 }}{{ $n }},{{ include "full.count" (list (sub $n 1 | int)) }}{{ end -}}
{{- end }}
{{- define "full.bare" }}dot is {{ . }}{{ end }}

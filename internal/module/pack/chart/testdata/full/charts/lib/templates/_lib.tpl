{{- define "lib.hello" }}hello {{ .Values.name }}{{ end }}
{{- define "full.bare" }}overridden by the chart itself{{ end }}

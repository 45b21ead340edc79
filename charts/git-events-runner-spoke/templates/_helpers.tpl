{{/* The name of the application: a label, and part of the names of objects. */}}
{{- define "git-events-runner-spoke.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of all objects. 44 characters leave room for what is appended, within 63. */}}
{{- define "git-events-runner-spoke.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 44 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 44 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "git-events-runner-spoke.namespace" -}}
{{- default .Release.Namespace .Values.controllerNamespace }}
{{- end }}

{{- define "git-events-runner-spoke.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "git-events-runner-spoke.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "git-events-runner-spoke.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "git-events-runner-spoke.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: without serviceAccount.create, name the service account that is there" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "git-events-runner-spoke.tokenName" -}}
{{- default (printf "%s-token" (include "git-events-runner-spoke.fullname" .)) .Values.token.name }}
{{- end }}

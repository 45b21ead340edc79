{{/* The name of the application: a label, and part of the names of objects. */}}
{{- define "git-events-runner.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of all objects. 44 characters leave room for what is appended, within 63. */}}
{{- define "git-events-runner.fullname" -}}
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

{{- define "git-events-runner.namespace" -}}
{{- default .Release.Namespace .Values.controllerNamespace }}
{{- end }}

{{- define "git-events-runner.selectorLabels" -}}
app.kubernetes.io/name: {{ include "git-events-runner.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "git-events-runner.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "git-events-runner.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "git-events-runner.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "git-events-runner.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "git-events-runner.actionJobServiceAccountName" -}}
{{- if .Values.actionJobServiceAccounts.create }}
{{- default (printf "%s-action-job" (include "git-events-runner.fullname" .)) .Values.actionJobServiceAccounts.name }}
{{- else }}
{{- default "default" .Values.actionJobServiceAccounts.name }}
{{- end }}
{{- end }}

{{/* The namespaces that get an account for Jobs: where any is listed, each that Jobs are let into by its name too. */}}
{{- define "git-events-runner.actionJobNamespaces" -}}
{{- $namespaces := prepend .Values.actionJobServiceAccounts.namespaces (include "git-events-runner.namespace" .) }}
{{- if .Values.actionJobServiceAccounts.namespaces }}
{{- $namespaces = concat $namespaces .Values.rbac.controller.jobsNamespaces }}
{{- end }}
{{- without (uniq $namespaces) "*" | toJson }}
{{- end }}

{{/* As whom Jobs run by themselves. Where nobody says which namespaces have an account, none but the controller's has
     one, and a Job elsewhere would wait for it for ever: each namespace's own `default` is taken. */}}
{{- define "git-events-runner.defaultServiceAccount" -}}
{{- if not .Values.actionJobServiceAccounts.create }}
{{- .Values.actionJobServiceAccounts.name }}
{{- else if .Values.actionJobServiceAccounts.namespaces }}
{{- include "git-events-runner.actionJobServiceAccountName" . }}
{{- end }}
{{- end }}

{{- define "git-events-runner.image" -}}
{{- .Values.image.repository }}:{{ .Values.image.tag | default (printf "v%s" .Chart.AppVersion) }}
{{- end }}

{{/* The namespaces of a list, with the controller's own left out: it has a role of its own. */}}
{{- define "git-events-runner.otherNamespaces" -}}
{{- without (uniq .namespaces) (include "git-events-runner.namespace" .root) | toJson }}
{{- end }}

{{/* The Secret with the webhook server's certificate, if it is in one. */}}
{{- define "git-events-runner.tlsSecretName" -}}
{{- if .Values.controllerOptions.webhooksTls.secretName }}
{{- .Values.controllerOptions.webhooksTls.secretName }}
{{- else if .Values.certificate.enabled }}
{{- printf "%s-webhook-tls" (include "git-events-runner.fullname" .) }}
{{- end }}
{{- end }}

{{/* The file of `--config`: what of it is set. */}}
{{- define "git-events-runner.settings" -}}
{{- $settings := dict }}
{{- range $key, $value := .Values.config }}
{{- if $value }}
{{- $_ := set $settings $key $value }}
{{- end }}
{{- end }}
{{- if $settings }}
{{- toYaml $settings }}
{{- end }}
{{- end }}

{{/* Where the collector of traces listens. */}}
{{- define "git-events-runner.otlpPort" -}}
{{- $url := urlParse .Values.controllerOptions.otlp.endpoint }}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- end }}

{{- define "git-events-runner.webhookScheme" -}}
{{- if or (include "git-events-runner.tlsSecretName" .) .Values.controllerOptions.webhooksTls.certPath }}https{{ else }}http{{ end }}
{{- end }}

{{/* What cannot be meant: the release is refused with what to do. */}}
{{- define "git-events-runner.validate" -}}
{{- $tls := .Values.controllerOptions.webhooksTls }}
{{- if ne (empty $tls.certPath) (empty $tls.keyPath) }}
{{- fail "controllerOptions.webhooksTls: set certPath and keyPath, or neither" }}
{{- end }}
{{- if and $tls.certPath (include "git-events-runner.tlsSecretName" .) }}
{{- fail "controllerOptions.webhooksTls: the certificate is in files or in a Secret, not in both" }}
{{- end }}
{{- if and $tls.secretNamespace (not $tls.secretName) }}
{{- fail "controllerOptions.webhooksTls.secretNamespace needs secretName" }}
{{- end }}
{{- if ge (mul 2 (int .Values.controllerOptions.lease.renew)) (int .Values.controllerOptions.lease.duration) }}
{{- fail "controllerOptions.lease: renew must be under half of duration, so that one lost renewal is survived" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (empty .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs: name the Gateway that the route belongs to" }}
{{- end }}
{{- if and .Values.certificate.enabled (empty .Values.certificate.issuerRef.name) }}
{{- fail "certificate.issuerRef.name: name the Issuer or ClusterIssuer" }}
{{- end }}
{{- if and .Values.certificate.enabled $tls.secretNamespace (ne $tls.secretNamespace (include "git-events-runner.namespace" .)) }}
{{- fail "certificate.enabled: cert-manager keeps the Secret in the controller's namespace; leave controllerOptions.webhooksTls.secretNamespace empty" }}
{{- end }}
{{- if and .Values.prometheus.serviceMonitor.enabled (not .Values.service.utility.type) }}
{{- fail "prometheus.serviceMonitor.enabled needs service.utility.type: without it there is no Service with metrics" }}
{{- end }}
{{- if and (not (kindIs "invalid" .Values.pdb.minAvailable)) (not (kindIs "invalid" .Values.pdb.maxUnavailable)) }}
{{- fail "pdb: set minAvailable or maxUnavailable, not both" }}
{{- end }}
{{- end }}

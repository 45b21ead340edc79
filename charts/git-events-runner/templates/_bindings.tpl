{{/*
A role from a file of rules, bound in all namespaces or in each of a list.
Arguments: root, name, file, namespaces, account, accountNamespaces.
*/}}
{{- define "git-events-runner.granted" }}
{{- $labels := include "git-events-runner.labels" .root }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .name }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- .root.Files.Get .file | fromYamlArray | toYaml | nindent 2 }}
{{- $grant := . }}
{{- range ternary (list "*") .namespaces (has "*" .namespaces) }}
---
apiVersion: rbac.authorization.k8s.io/v1
{{- if eq . "*" }}
kind: ClusterRoleBinding
metadata:
  name: {{ $grant.name }}
{{- else }}
kind: RoleBinding
metadata:
  name: {{ $grant.name }}
  namespace: {{ . }}
{{- end }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $grant.name }}
subjects:
  {{- $own := . }}
  {{- range $grant.subjects }}
  - kind: ServiceAccount
    name: {{ .name }}
    namespace: {{ default $own .namespace }}
  {{- end }}
{{- end }}
{{- end }}

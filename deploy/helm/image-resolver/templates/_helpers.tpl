{{- define "image-resolver.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "image-resolver.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "image-resolver.selector" -}}
app.kubernetes.io/name: {{ include "image-resolver.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "image-resolver.labels" -}}
{{ include "image-resolver.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "image-resolver.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "image-resolver.tokenSecret" -}}
{{- .Values.token.existingSecret | default (printf "%s-token" (include "image-resolver.fullname" .)) -}}
{{- end -}}

{{/* A container whose root is read-only, without any right of root. */}}
{{- define "image-resolver.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* image-resolver.yaml of the resolver mode. What the chart says itself is there for reachability, and wins. */}}
{{- define "image-resolver.resolverConfig" -}}
{{- $http := dict "listen" .Values.resolver.listen "tokenFile" "/run/secrets/image-resolver/token" -}}
{{- if .Values.resolver.tls.existingSecret -}}
{{- $_ := set $http "tls" (dict "cert" "/run/secrets/image-resolver-tls/tls.crt" "key" "/run/secrets/image-resolver-tls/tls.key") -}}
{{- end -}}
{{- $own := dict "http" $http -}}
{{- if .Values.resolver.mirror -}}
{{- $_ := set $own "mirror" (dict "enabled" true) -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .Values.config) (deepCopy .Values.resolver.config) $own | toYaml -}}
{{- end -}}

{{/* Volumes and mounts of the Secrets that the configuration names files of. */}}
{{- define "image-resolver.secretVolumes" -}}
{{- range .Values.secrets }}
- name: secret-{{ .name }}
  secret:
    secretName: {{ .secretName }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "image-resolver.secretMounts" -}}
{{- range .Values.secrets }}
- name: secret-{{ .name }}
  mountPath: /etc/image-resolver/secrets/{{ .name }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* Whether other machines can reach the HTTP API of a node. */}}
{{- define "image-resolver.nodeIsOpen" -}}
{{- not (regexMatch "^(127\\.|localhost:|\\[::1\\]:)" .Values.node.listen) -}}
{{- end -}}

{{/* image-resolver.yaml of a node. */}}
{{- define "image-resolver.nodeConfig" -}}
{{- $http := dict "listen" .Values.node.listen -}}
{{- if eq (include "image-resolver.nodeIsOpen" .) "true" -}}
{{- $_ := set $http "tokenFile" "/etc/image-resolver/secrets/image-resolver-token/token" -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .Values.config) (deepCopy .Values.node.config) (dict "http" $http) | toYaml -}}
{{- end -}}

{{/* A container that works on the files of its node, and calls its systemctl. */}}
{{- define "image-resolver.privileged" -}}
privileged: true
runAsUser: 0
runAsGroup: 0
readOnlyRootFilesystem: true
{{- end -}}

{{/* A pod on every chosen node, with its network and processes. */}}
{{- define "image-resolver.hostPod" -}}
hostNetwork: true
hostPID: true
dnsPolicy: Default
priorityClassName: {{ .Values.node.priorityClassName }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.node.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.node.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.node.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* After everything else of the release is deleted. */}}
{{- define "image-resolver.hook" -}}
helm.sh/hook: post-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

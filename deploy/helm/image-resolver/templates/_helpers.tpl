{{- define "image-resolver.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Two long names of releases that begin alike stay two. */}}
{{- define "image-resolver.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := printf "%s-%s" .Release.Name $name -}}
{{- if .Values.fullnameOverride -}}
{{- $full = .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- $full = .Release.Name -}}
{{- end -}}
{{- if gt (len $full) 52 -}}
{{- $full = printf "%s-%s" (trunc 43 $full | trimSuffix "-") (sha256sum $full | trunc 8) -}}
{{- end -}}
{{- $full -}}
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

{{/* Fails where a value of a configuration is a secret: what is in a ConfigMap can be read by many. */}}
{{- define "image-resolver.refuseSecrets" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
{{- range $key, $value := .value -}}
{{- $here := printf "%s.%s" $path $key -}}
{{- $why := printf "%s is a secret, and this becomes a ConfigMap: " $here -}}
{{- if and $value (has $key (list "auth" "password")) -}}
{{- fail (printf "%sput the password into a Secret, name that under `secrets` (- {name: NAME, secretName: SECRET}), and write the registry as an entry of `registries` with username and passwordFile: /etc/image-resolver/secrets/NAME/KEY" $why) -}}
{{- else if and $value (eq $key "identityToken") -}}
{{- fail (printf "%sput it into a Secret, name that under `secrets` (- {name: NAME, secretName: SECRET}), and write tokenFile: /etc/image-resolver/secrets/NAME/KEY" $why) -}}
{{- else if and $value (eq $key "token") -}}
{{- fail (printf "%sname its Secret as token.existingSecret; without it the chart makes a token" $why) -}}
{{- end -}}
{{- include "image-resolver.refuseSecrets" (dict "path" $here "value" $value) -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $index, $value := .value -}}
{{- include "image-resolver.refuseSecrets" (dict "path" (printf "%s[%d]" $path $index) "value" $value) -}}
{{- end -}}
{{- else if kindIs "string" .value -}}
{{- if regexMatch "proxy[.]https?$" $path | and (contains "@" .value) -}}
{{- fail (printf "%s holds a user and a password, and this becomes a ConfigMap: leave `proxy` out, and give HTTP_PROXY, HTTPS_PROXY and NO_PROXY to pods by resolver.extraEnv with valueFrom.secretKeyRef, and to nodes by a drop-in of image-resolver.service" $path) -}}
{{- else if regexMatch "://[^/?#]*@" .value -}}
{{- fail (printf "%s holds a user or a password, and this becomes a ConfigMap: take them out, and write username and passwordFile: /etc/image-resolver/secrets/NAME/KEY beside it" $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails where two Secrets would be one folder. */}}
{{- define "image-resolver.checkSecrets" -}}
{{- $known := dict "image-resolver-token" "the token of the chart" -}}
{{- range $index, $secret := .Values.secrets -}}
{{- with get $known $secret.name -}}
{{- fail (printf "secrets[%d].name %s is taken, by %s: choose another one" $index $secret.name .) -}}
{{- end -}}
{{- $_ := set $known $secret.name (printf "secrets[%d]" $index) -}}
{{- end -}}
{{- end -}}

{{/* Of an image-resolver.yaml: whether its HTTP API is served over https. */}}
{{- define "image-resolver.scheme" -}}
{{- ternary "https" "http" (not (empty (dig "http" "tls" dict (fromYaml .)))) -}}
{{- end -}}

{{/*
image-resolver.yaml of the resolver mode. What the chart says itself is there for reachability, and wins. Sockets of a
runtime are on nodes: a pod would wait for them.
*/}}
{{- define "image-resolver.resolverConfig" -}}
{{- include "image-resolver.refuseSecrets" (dict "path" "config" "value" .Values.config) -}}
{{- include "image-resolver.refuseSecrets" (dict "path" "resolver.config" "value" .Values.resolver.config) -}}
{{- include "image-resolver.checkSecrets" . -}}
{{- if regexMatch "^(127\\.|localhost:|\\[::1\\]:)" .Values.resolver.listen -}}
{{- fail (printf "resolver.listen %s is loopback, which neither the Service nor probes reach: write 0.0.0.0:9430, or [::]:9430" .Values.resolver.listen) -}}
{{- end -}}
{{- $http := dict "listen" .Values.resolver.listen "tokenFile" "/run/secrets/image-resolver/token" -}}
{{- if .Values.resolver.tls.existingSecret -}}
{{- $_ := set $http "tls" (dict "cert" "/run/secrets/image-resolver-tls/tls.crt" "key" "/run/secrets/image-resolver-tls/tls.key") -}}
{{- end -}}
{{- $own := dict "http" $http -}}
{{- if .Values.resolver.mirror -}}
{{- $_ := set $own "mirror" (dict "enabled" true) -}}
{{- end -}}
{{- if .Values.resolver.admission.enabled -}}
{{- $_ := set $own "admission" (dict "enabled" true) -}}
{{- end -}}
{{- mergeOverwrite (omit (deepCopy .Values.config) "shim" "cri") (deepCopy .Values.resolver.config) $own | toYaml -}}
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
{{- not (regexMatch "^(127\\.|localhost:|\\[::1\\]:|unix:)" .Values.node.listen) -}}
{{- end -}}

{{/* Whether a node needs the token: other machines reach it, or registries tell it of pushes. */}}
{{- define "image-resolver.nodeHasToken" -}}
{{- $http := mergeOverwrite (dig "http" dict .Values.config | deepCopy) (dig "http" dict .Values.node.config | deepCopy) -}}
{{- or (eq (include "image-resolver.nodeIsOpen" .) "true") (dig "events" false $http | and (not (dig "tokenFile" "" $http))) -}}
{{- end -}}

{{/* Asks the service of a node, from a pod in its network, for /readyz. */}}
{{- define "image-resolver.nodeProbe" -}}
{{- $listen := .Values.node.listen -}}
{{- if hasPrefix "unix:" $listen -}}
exec:
  command:
    - /opt/image-resolver/node
    - --eval
    - >-
      require('http').get({ socketPath: process.argv[1], path: '/readyz' }, ({ statusCode }) => process.exit(statusCode
      === 200 ? 0 : 1)).on('error', () => process.exit(1))
    - /host{{ $listen | trimPrefix "unix:" | trimPrefix "//" | replace "/var/run/" "/run/" }}
{{- else -}}
{{- $host := regexReplaceAll ":[0-9]+$" $listen "" | trimPrefix "[" | trimSuffix "]" -}}
httpGet:
  host: {{ get (dict "0.0.0.0" "127.0.0.1" "localhost" "127.0.0.1" "::" "::1") $host | default $host | quote }}
  path: /readyz
  port: {{ splitList ":" $listen | last }}
  {{- if eq (include "image-resolver.scheme" (include "image-resolver.nodeConfig" .)) "https" }}
  scheme: HTTPS
  {{- end }}
{{- end -}}
{{- end -}}

{{/* image-resolver.yaml of a node. */}}
{{- define "image-resolver.nodeConfig" -}}
{{- include "image-resolver.refuseSecrets" (dict "path" "config" "value" .Values.config) -}}
{{- include "image-resolver.refuseSecrets" (dict "path" "node.config" "value" .Values.node.config) -}}
{{- include "image-resolver.checkSecrets" . -}}
{{- $http := dict "listen" .Values.node.listen -}}
{{- if eq (include "image-resolver.nodeHasToken" .) "true" -}}
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

{{/* A quantity of memory in MiB; 0 for what is none. */}}
{{- define "image-resolver.mebibytes" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+(?:[eE][+-]?[0-9]+)?" $text -}}
{{- $bytes := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- divf (mulf (float64 $number) (get $bytes (trimPrefix $number $text) | default 0.0)) 1048576.0 -}}
{{- end -}}

{{/* Node's options of the resolver: those of extraEnv beside the heap. */}}
{{- define "image-resolver.nodeOptions" -}}
{{- $resolver := .Values.resolver -}}
{{- $memory := dig "limits" "memory" "" $resolver.resources -}}
{{- $limit := include "image-resolver.mebibytes" $memory | float64 -}}
{{- if and (gt $limit 0.0) (ge (float64 $resolver.heapMiB) $limit) -}}
{{- fail (printf "resolver.heapMiB %d is not below resolver.resources.limits.memory %v: the kernel would end the process before its heap is full; raise the limit to heapMiB and 128Mi more, or lower heapMiB" (int $resolver.heapMiB) $memory) -}}
{{- end -}}
--max-old-space-size={{ int $resolver.heapMiB }}
{{- range $index, $variable := $resolver.extraEnv -}}
{{- if eq (toString $variable.name) "NODE_OPTIONS" -}}
{{- if or (not $variable.value) (regexMatch "max[-_]old[-_]space" (toString $variable.value)) -}}
{{- fail (printf "resolver.extraEnv[%d] is NODE_OPTIONS, which the chart sets: write further options as its `value`, without valueFrom, and the heap as resolver.heapMiB" $index) -}}
{{- end }} {{ $variable.value }}
{{- end -}}
{{- end -}}
{{- end -}}

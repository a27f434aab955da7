{{- define "weir.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "weir.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "weir.selectorLabels" -}}
app.kubernetes.io/name: {{ include "weir.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "weir.labels" -}}
{{ include "weir.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "weir.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "weir.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "weir.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- define "weir.webhookSecret" -}}
{{- default (printf "%s-webhook" (include "weir.fullname" .)) .Values.sidecarInjector.secretName }}
{{- end }}

{{- /* What the chart itself sets; env.* of the values goes over it. */ -}}
{{- define "weir.settings" -}}
{{- $fullname := include "weir.fullname" . -}}
{{- $proxy := list -}}
{{- with .Values.proxy.http }}{{ if .enabled }}{{ $proxy = append $proxy (printf "0.0.0.0:%d reuseport backlog=16384" (int .containerPort)) }}{{ end }}{{ end -}}
{{- with .Values.proxy.tls }}{{ if .enabled }}{{ $proxy = append $proxy (printf "0.0.0.0:%d ssl reuseport backlog=16384" (int .containerPort)) }}{{ end }}{{ end -}}
prefix: /var/lib/weir
proxy_listen: {{ $proxy | join ", " | default "off" | quote }}
status_listen: {{ printf "0.0.0.0:%d" (int .Values.status.port) | quote }}
admin_listen: {{ printf "%s:%d" (ternary "0.0.0.0" "127.0.0.1" .Values.admin.enabled) (int .Values.admin.port) | quote }}
ingress_class: {{ .Values.ingressClass.name | quote }}
ingress_controller: {{ .Values.ingressClass.controller | quote }}
gateway_controller: {{ .Values.gatewayClass.controller | quote }}
publish_service: {{ printf "%s-proxy" $fullname | quote }}
{{- if .Values.sidecarInjector.enabled }}
webhook_listen: {{ printf "0.0.0.0:%d ssl" (int .Values.sidecarInjector.port) | quote }}
webhook_ssl_cert: /etc/weir/webhook/tls.crt
webhook_ssl_cert_key: /etc/weir/webhook/tls.key
sidecar_image: {{ include "weir.image" . | quote }}
{{- end }}
{{- with .Values.watchNamespace }}
kubernetes_namespace: {{ . | quote }}
{{- end }}
{{- with .Values.gatewayAddresses }}
gateway_addresses: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "weir.pod" -}}
metadata:
  labels:
    {{- include "weir.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "weir.serviceAccountName" . }}
  # Variables of Services named "weir" would look like settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: {type: RuntimeDefault}
  containers:
  - name: weir
    image: {{ include "weir.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: [run]
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      runAsNonRoot: true
      runAsUser: 65532
      runAsGroup: 65532
      capabilities: {drop: [ALL]}
      seccompProfile: {type: RuntimeDefault}
    env:
    {{- $settings := merge (dict) .Values.env (include "weir.settings" . | fromYaml) }}
    {{- range $key, $value := $settings }}
    {{- if kindIs "map" $value }}
    - name: WEIR_{{ upper $key }}
      {{- toYaml $value | nindent 6 }}
    {{- else if not (kindIs "invalid" $value) }}
    - {name: WEIR_{{ upper $key }}, value: {{ $value | toString | quote }}}
    {{- end }}
    {{- end }}
    - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
    ports:
    {{- range $name, $port := dict "proxy" .Values.proxy.http "proxy-tls" .Values.proxy.tls }}
    {{- if $port.enabled }}
    - name: {{ $name }}
      containerPort: {{ $port.containerPort }}
      {{- with $port.hostPort }}
      hostPort: {{ . }}
      {{- end }}
      protocol: TCP
    {{- end }}
    {{- end }}
    {{- if .Values.admin.enabled }}
    - {name: admin, containerPort: {{ .Values.admin.port }}, protocol: TCP}
    {{- end }}
    {{- if .Values.sidecarInjector.enabled }}
    - {name: webhook, containerPort: {{ .Values.sidecarInjector.port }}, protocol: TCP}
    {{- end }}
    - {name: status, containerPort: {{ .Values.status.port }}, protocol: TCP}
    # Ready: everything that was declared at the start is served. It stays so when the API server goes away.
    startupProbe:
      httpGet: {path: /status/ready, port: status}
      periodSeconds: 1
      failureThreshold: 120
    readinessProbe:
      httpGet: {path: /status/ready, port: status}
      periodSeconds: 5
      timeoutSeconds: 2
    livenessProbe:
      httpGet: {path: /status, port: status}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    {{- if gt (int .Values.preStopSeconds) 0 }}
    lifecycle:
      preStop:
        exec: {command: [sleep, {{ .Values.preStopSeconds | toString | quote }}]}
    {{- end }}
    {{- with .Values.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    volumeMounts:
    - {name: prefix, mountPath: /var/lib/weir}
    {{- if .Values.sidecarInjector.enabled }}
    - {name: webhook, mountPath: /etc/weir/webhook, readOnly: true}
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
  - {name: prefix, emptyDir: {}}
  {{- if .Values.sidecarInjector.enabled }}
  - name: webhook
    secret: {secretName: {{ include "weir.webhookSecret" . }}}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq .Values.kind "Deployment" }}
  topologySpreadConstraints:
  {{- if .Values.topologySpreadConstraints }}
  {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "weir.selectorLabels" . | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}

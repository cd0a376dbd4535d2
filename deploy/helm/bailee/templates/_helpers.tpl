{{- define "bailee.name" -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "bailee.selector" -}}
app.kubernetes.io/name: bailee
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bailee.about" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "bailee.labels" -}}
{{ include "bailee.selector" . }}
{{ include "bailee.about" . }}
{{- end -}}

{{- /* Gateways have a name of their own: what selects the server never selects one of them. */ -}}
{{- define "bailee.gateways.name" -}}
{{- include "bailee.name" . -}}-gateways
{{- end -}}

{{- define "bailee.gateways.selector" -}}
app.kubernetes.io/name: bailee-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bailee.gateways.labels" -}}
{{ include "bailee.gateways.selector" . }}
{{ include "bailee.about" . }}
{{- end -}}

{{- /* What a pod of either is: what it pulls, and as whom it runs. */ -}}
{{- define "bailee.pod" -}}
serviceAccountName: {{ include "bailee.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- /* What its container is. */ -}}
{{- define "bailee.container" -}}
image: "{{ .Values.image.repository }}{{ with .Values.image.tag }}:{{ . }}{{ end }}{{ with .Values.image.digest }}@{{ . }}{{ end }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- with .Values.settingsFrom }}
envFrom:
  {{- range . }}
  - secretRef:
      name: {{ . | quote }}
  {{- end }}
{{- end }}
startupProbe:
  httpGet:
    path: /healthz
    port: health
    scheme: HTTPS
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet:
    path: /healthz
    port: health
    scheme: HTTPS
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
readinessProbe:
  httpGet:
    path: /readyz
    port: health
    scheme: HTTPS
  periodSeconds: 3
  timeoutSeconds: 3
{{- end -}}

{{- /* Variables that both have. */ -}}
{{- define "bailee.environment" -}}
- name: BAILEE_GATEWAY_LISTEN
  value: 0.0.0.0:8787
- name: BAILEE_HEALTH_LISTEN
  value: 0.0.0.0:8790
- name: BAILEE_GATEWAY_TLS_CERT
  value: /etc/bailee/tls/tls.crt
- name: BAILEE_GATEWAY_TLS_KEY
  value: /etc/bailee/tls/tls.key
- name: BAILEE_GATEWAY_PUBLIC_URL
  value: {{ .Values.gateway.url | quote }}
- name: BAILEE_UPSTREAM_URL
  value: {{ .Values.upstream.url | quote }}
{{- if .Values.upstream.secretName }}
- name: BAILEE_UPSTREAM_KEY_ENV
  value: UPSTREAM_KEY
- name: UPSTREAM_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.upstream.secretName | quote }}
      key: {{ .Values.upstream.secretKey | quote }}
{{- end }}
{{- end -}}

{{- /* Where the certificate lies, and what is no disk. */ -}}
{{- define "bailee.volumes" -}}
- name: tls
  secret:
    secretName: {{ .Values.tls.secretName | quote }}
    # Its owner and its group: bailee refuses a key that everybody may read.
    defaultMode: 0440
- name: temporary
  emptyDir:
    medium: Memory
    sizeLimit: 512Mi
{{- end -}}

{{- define "bailee.mounts" -}}
- name: tls
  mountPath: /etc/bailee/tls
  readOnly: true
- name: temporary
  mountPath: /tmp
{{- end -}}

{{- /* What would end each gateway at its start, by its name. */ -}}
{{- define "bailee.gateways.check" -}}
{{- $settings := .Values.settings -}}
{{- $own := .Values.gateways.settings -}}
{{- range tuple "BAILEE_DATABASE_URL" "BAILEE_KEYRING_DATABASE_URL" "BAILEE_OBJECTS_URL" "BAILEE_SPOOL_DURABILITY" "BAILEE_KEYRING_ROOT" -}}
{{- if hasKey $own . -}}
{{- fail (printf "gateways and the server have one home: gateways.settings.%s has to stand in settings" .) -}}
{{- end -}}
{{- end -}}
{{- range tuple "BAILEE_DATABASE_URL" "BAILEE_KEYRING_DATABASE_URL" -}}
{{- if not (hasPrefix "postgres" (get $settings .)) -}}
{{- fail (printf "gateways need the home's databases on PostgreSQL: settings.%s is not postgresql://..." .) -}}
{{- end -}}
{{- end -}}
{{- if not (hasPrefix "s3://" (get $settings "BAILEE_OBJECTS_URL")) -}}
{{- fail "gateways need a bucket: settings.BAILEE_OBJECTS_URL is not s3://..." -}}
{{- end -}}
{{- if ne "database" (get $settings "BAILEE_SPOOL_DURABILITY") -}}
{{- fail "what a gateway answers is durable in the database: settings.BAILEE_SPOOL_DURABILITY is not \"database\"" -}}
{{- end -}}
{{- if not (regexMatch "^(transit|aws-kms|google-kms|pkcs11):." (get $settings "BAILEE_KEYRING_ROOT")) -}}
{{- fail "gateways need the root key in a service, not in a file of the server's: settings.BAILEE_KEYRING_ROOT is none of transit:..., aws-kms:..., google-kms:..., pkcs11:..." -}}
{{- end -}}
{{- range tuple "BAILEE_CONSOLE_LISTEN" "BAILEE_INGEST_LISTEN" -}}
{{- if or (hasKey $settings .) (hasKey $own .) -}}
{{- fail (printf "a gateway has no such listener: %s is set" .) -}}
{{- end -}}
{{- end -}}
{{- $drain := int (coalesce (get $own "BAILEE_GATEWAY_DRAIN_SECONDS") (get $settings "BAILEE_GATEWAY_DRAIN_SECONDS") "10") -}}
{{- if lt (int .Values.gateways.terminationGracePeriodSeconds) (add $drain 20) -}}
{{- fail (printf "gateways.terminationGracePeriodSeconds is less than %d: gateway.drain_seconds, and 20 for what comes before and after" (add $drain 20)) -}}
{{- end -}}
{{- end -}}

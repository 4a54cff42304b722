package api

import (
	"strings"
	"testing"
)

const plainContainer = `{"name":"a","image":"i"}`

// spec is that of a pod with one container and the given fields; of is one whose
// container has the given fields, and vol one that has the given volume.
func spec(fields string) string {
	return `"spec":{"containers":[` + plainContainer + `]` + comma(fields) + `}`
}

func of(fields string) string {
	return `"spec":{"containers":[{"name":"a","image":"i"` + comma(fields) + `}]}`
}

func vol(source string) string { return spec(`"volumes":[{"name":"v"` + comma(source) + `}]`) }

func comma(fields string) string {
	if fields == "" {
		return ""
	}
	return "," + fields
}

// TestPodValidation: what the API server has against a new pod. The words are those of
// the functions of pkg/apis/core/validation that stand before the rows.
func TestPodValidation(t *testing.T) {
	const label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
	const key = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
	const volume = "spec.volumes[0]."
	ctr := func(path string) string { return "spec.containers[0]." + path }
	refusals{
		// validatePullPolicy, validateContainerCommon
		{"Pod", of(`"imagePullPolicy":"Maybe"`), `Pod "x" is invalid: ` + ctr(`imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"`)},
		{"Pod", of(`"terminationMessagePolicy":"No"`), ctr(`terminationMessagePolicy: Unsupported value: "No": supported values: "File", "FallbackToLogsOnError"`)},
		{"Pod", `"spec":{"containers":[{"name":"a","image":" i"}]}`, ctr(`image: Invalid value: " i": must not have leading or trailing whitespace`)},
		{"Pod", `"spec":{"containers":[` + plainContainer + `,` + plainContainer + `]}`, `spec.containers[1].name: Duplicate value: "a"`},
		// validateContainerPorts, checkHostPortConflicts, validatePodHostNetworkDeps
		{"Pod", of(`"ports":[{"name":"http_x"},{"containerPort":70000,"protocol":"X","name":"p"},{"containerPort":1,"hostPort":99999,"name":"p"}]`), `[` +
			ctr(`ports[0].name: Invalid value: "http_x": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), `) + ctr(`ports[0].containerPort: Required value, `) +
			ctr(`ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive, `) + ctr(`ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP", `) +
			ctr(`ports[2].name: Duplicate value: "p", `) + ctr(`ports[2].hostPort: Invalid value: 99999: must be between 1 and 65535, inclusive]`)},
		{"Pod", of(`"ports":[{"containerPort":1,"hostPort":2},{"containerPort":3,"hostPort":2}]`), ctr(`ports[1].hostPort: Duplicate value: "TCP//2"`)},
		{"Pod", `"spec":{"hostNetwork":true,"containers":[{"name":"a","image":"i","ports":[{"containerPort":1,"hostPort":2}]}]}`, ctr("ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true")},
		// ValidateEnv, validateEnvVarValueFrom, ValidateEnvFrom
		{"Pod", of(`"env":[{},{"name":"a=b"},{"name":"c","valueFrom":{}},{"name":"d","value":"x","valueFrom":{"fieldRef":{"fieldPath":"spec.moon"}}}]`), `[` + ctr(`env[0].name: Required value, `) +
			ctr(`env[1].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '=', `) +
			ctr("env[2].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`, ") +
			ctr(`env[3].valueFrom.fieldRef.fieldPath: Invalid value: "spec.moon": error converting fieldPath: field label not supported: spec.moon, `) +
			ctr("env[3].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty]")},
		{"Pod", of(`"env":[{"name":"a","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels"}}},{"name":"b","valueFrom":{"resourceFieldRef":{"resource":"limits.moon"},"secretKeyRef":{"name":"A","key":""}}}]`), `[` +
			ctr(`env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs", `) +
			ctr(`env[1].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.moon": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory", `) +
			ctr(`env[1].valueFrom.secretKeyRef.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of`)},
		{"Pod", of(`"env":[{"name":"a","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"2"}}}]`), ctr(`env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`)},
		{"Pod", of(`"envFrom":[{}]`), ctr("envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`")},
		// ValidateVolumeMounts, ValidateVolumeDevices
		{"Pod", `"spec":{"volumes":[{"name":"v"}],"containers":[{"name":"a","image":"i","volumeMounts":[{"name":"v","mountPath":"/a","subPath":"../b","mountPropagation":"Bidirectional"},{"name":"w","mountPath":"/a"}],"volumeDevices":[{"name":"v","devicePath":"/a"}]}]}`, `[` +
			ctr(`volumeMounts[0].name: Invalid value: "v": must not already exist in volumeDevices, `) + ctr(`volumeMounts[0].mountPath: Invalid value: "/a": must not already exist as a path in volumeDevices, `) +
			ctr(`volumeMounts.subPath: Invalid value: "../b": must not contain '..', `) + ctr(`volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers, `) +
			ctr(`volumeMounts[1].name: Not found: "w", `) + ctr(`volumeMounts[1].mountPath: Invalid value: "/a": must be unique, `) + ctr(`volumeMounts[1].mountPath: Invalid value: "/a": must not already exist as a path in volumeDevices, `) +
			ctr(`volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode, `) +
			ctr(`volumeDevices[0].name: Invalid value: "v": must not already exist in volumeMounts, `) + ctr(`volumeDevices[0].devicePath: Invalid value: "/a": must not already exist as a path in volumeMounts]`)},
		// validateResourceRequirements, validateContainerResourceName
		{"Pod", of(`"resources":{"limits":{"cpu":"1","moon":"1","example.com/a":"1500m"},"requests":{"cpu":"2","memory":"-1"}}`), `[` +
			ctr(`resources.limits[example.com/a]: Invalid value: "1500m": must be an integer, `) +
			ctr(`resources.limits[moon]: Invalid value: "moon": must be a standard resource type or fully qualified, `) + ctr(`resources.limits[moon]: Invalid value: "moon": must be a standard resource for containers, `) +
			ctr(`resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1, `) +
			ctr(`resources.requests[example.com/a]: Invalid value: "1500m": must be an integer, `) +
			ctr(`resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0, `) +
			ctr(`resources.requests[moon]: Invalid value: "moon": must be a standard resource type or fully qualified, `) + ctr(`resources.requests[moon]: Invalid value: "moon": must be a standard resource for containers]`)},
		{"Pod", of(`"resources":{"requests":{"hugepages-2Mi":"3Mi"}}`), `[` + ctr(`resources.limits: Required value: Limit must be set for non overcommitable resources, `) +
			ctr(`resources.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi, `) + ctr(`resources: Forbidden: HugePages require cpu or memory]`)},
		{"Pod", of(`"resources":{"claims":[{"name":"gpu"}]}`), ctr(`resources.claims[0]: Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty`)},
		{"Pod", spec(`"resourceClaims":[{"name":"g"}]`), "spec.resourceClaims[0]: Invalid value: {\"Name\":\"g\",\"ResourceClaimName\":null,\"ResourceClaimTemplateName\":null}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"},
		// validatePodResources
		{"Pod", `"spec":{"resources":{"requests":{"cpu":"1"},"limits":{"cpu":"2","storage":"1"}},"containers":[{"name":"a","image":"i","resources":{"requests":{"cpu":"1500m"},"limits":{"cpu":"3"}}}]}`, `[spec.resources.limits[storage]: Unsupported value: "storage": supported values: "cpu", "hugepages-", "memory", ` +
			`spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 1500m, spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 2]`},
		// validateResizePolicy, validateContainerRestartPolicy
		{"Pod", `"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"i","resizePolicy":[{"resourceName":"moon","restartPolicy":"RestartContainer"}]}]}`, `[` + ctr(`resizePolicy: Unsupported value: "moon": supported values: "cpu", "memory", `) + ctr("resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when pod `restartPolicy` is 'Never']")},
		{"Pod", of(`"restartPolicy":"Perhaps","restartPolicyRules":[{"action":"Dance"}]`), `[` + ctr(`restartPolicy: Unsupported value: "Perhaps": supported values: "Always", "Never", "OnFailure", `) +
			ctr(`restartPolicyRules[0].action: Unsupported value: "Dance": supported values: "Restart", "RestartAllContainers", `) + ctr(`restartPolicyRules[0].exitCodes: Required value: must be specified]`)},
		// validateProbe, validateHandler, validateHTTPGetAction
		{"Pod", of(`"livenessProbe":{"httpGet":{"port":"a_b","scheme":"FTP","httpHeaders":[{"name":"a b"}]},"exec":{},"successThreshold":2,"periodSeconds":-1}`), `[` + ctr(`livenessProbe.exec.command: Required value, `) +
			ctr(`livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type, `) + ctr(`livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0, `) + ctr(`livenessProbe.successThreshold: Invalid value: 2: must be 1]`)},
		{"Pod", of(`"readinessProbe":{"httpGet":{"port":0,"scheme":"FTP","httpHeaders":[{"name":"a b"}]},"terminationGracePeriodSeconds":5}`), `[` + ctr(`readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive, `) +
			ctr(`readinessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS", `) + ctr(`readinessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+'), `) +
			ctr(`readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes]`)},
		{"Pod", of(`"lifecycle":{"preStop":{"sleep":{"seconds":60}},"postStart":{}}`), `[` + ctr(`lifecycle.postStart: Required value: must specify a handler type, `) + ctr(`lifecycle.preStop.sleep: Invalid value: 60: must be non-negative and less than terminationGracePeriodSeconds (30)]`)},
		// ValidateSecurityContext, validateSeccompProfileField, ValidateAppArmorProfileField, validateWindowsSecurityContextOptions
		{"Pod", of(`"securityContext":{"privileged":true,"runAsUser":-1,"procMount":"Unmasked","seccompProfile":{"type":"Localhost"},"appArmorProfile":{"type":"Moon"},"windowsOptions":{"runAsUserName":"a\\b\\c"}}`), `[` +
			ctr(`securityContext.privileged: Forbidden: disallowed by cluster policy, `) + ctr(`securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive, `) +
			ctr("securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`, ") + ctr(`securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost, `) +
			ctr(`securityContext.windowsOptions.runAsUserName: Invalid value: "a\\b\\c": runAsUserName cannot contain more than one backslash, `) +
			ctr(`securityContext.appArmorProfile.type: Unsupported value: "Moon": supported values: "Localhost", "RuntimeDefault", "Unconfined"]`)},
		{"Pod", of(`"securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"add":["CAP_SYS_ADMIN"]}}`), ctr("securityContext: Invalid value: {\"Capabilities\":{\"Add\":[\"CAP_SYS_ADMIN\"],\"Drop\":null},\"Privileged\":null,\"SELinuxOptions\":null,\"WindowsOptions\":null,\"RunAsUser\":null,\"RunAsGroup\":null,\"RunAsNonRoot\":null,\"ReadOnlyRootFilesystem\":null,\"AllowPrivilegeEscalation\":false,\"ProcMount\":null,\"SeccompProfile\":null,\"AppArmorProfile\":null}: cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")},
		// validatePodSpecSecurityContext, validateSysctls
		{"Pod", spec(`"hostNetwork":true,"hostPID":true,"shareProcessNamespace":true,"securityContext":{"fsGroup":-1,"fsGroupChangePolicy":"No","supplementalGroupsPolicy":"No","seLinuxChangePolicy":"MountOption","sysctls":[{"name":"A"},{"name":"net.core.x"},{"name":"net/core/x"}]}`),
			`[spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive, spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled, ` +
				`spec.securityContext.sysctls[0].name: Invalid value: "A": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$, ` +
				`spec.securityContext.sysctls[1].name: Invalid value: "net.core.x": may not be specified when 'hostNetwork' is true, spec.securityContext.sysctls[2].name: Invalid value: "net/core/x": may not be specified when 'hostNetwork' is true, ` +
				`spec.securityContext.fsGroupChangePolicy: Unsupported value: "No": supported values: "Always", "OnRootMismatch", spec.securityContext.supplementalGroupsPolicy: Unsupported value: "No": supported values: "Merge", "Strict", ` +
				`spec.securityContext.seLinuxChangePolicy: Unsupported value: "MountOption": supported values: "Recursive"]`},
		// validateHostUsers, validateWindows, validateLinux, validateWindowsHostProcessPod
		{"Pod", spec(`"hostUsers":false,"hostPID":true`), "spec.HostPID: Forbidden: when `hostUsers` is false"},
		{"Pod", spec(`"os":{"name":"windows"},"hostIPC":true,"securityContext":{"runAsUser":1}`), `[spec.hostIPC: Forbidden: cannot be set for a windows pod, spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod]`},
		{"Pod", spec(`"os":{"name":"linux"},"securityContext":{"windowsOptions":{"hostProcess":true}}`), `[spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers, spec: Forbidden: hostProcess containers are disallowed by cluster policy, spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod]`},
		{"Pod", spec(`"os":{"name":"plan9"}`), `spec.os: Unsupported value: "plan9": supported values: "linux", "windows"`},
		// validateInitContainers
		{"Pod", spec(`"initContainers":[{"name":"a","image":"i","livenessProbe":{"exec":{"command":["x"]}}},{"name":"b","image":"i","restartPolicy":"Always","restartPolicyRules":[{"action":"No"}]}]`), `[spec.initContainers[0].name: Duplicate value: "a", spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always, ` +
			`spec.initContainers[1].restartPolicyRules[0].action: Unsupported value: "No": supported values: "Restart", "RestartAllContainers", spec.initContainers[1].restartPolicyRules[0].exitCodes: Required value: must be specified]`},
		// ValidatePodCreate
		{"Pod", spec(`"nodeName":"n","schedulingGates":[{"name":"g"}]`), `spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared`},
		{"Pod", spec(`"ephemeralContainers":[{"name":"e","image":"i","ports":[{"containerPort":1}],"targetContainerName":"z"}]`), `[spec.ephemeralContainers[0].targetContainerName: Not found: "z", spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container, spec.ephemeralContainers: Forbidden: cannot be set on create]`},
		{"Pod", spec(`"nodeSelector":{"a b":"c d"}`), `spec.nodeSelector: Invalid value: "a b": ` + key},
		// ValidatePodSpec
		{"Pod", spec(`"dnsPolicy":"None"`), "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"},
		{"Pod", spec(`"dnsPolicy":"Moon","dnsConfig":{"nameservers":["1.2.3.4","moon","010.1.1.1","::1"],"searches":["A"],"options":[{}]}`), `[spec.dnsPolicy: Unsupported value: "Moon": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", ` +
			`spec.dnsConfig.nameservers: Invalid value: ["1.2.3.4","moon","010.1.1.1","::1"]: must not have more than 3 nameservers, spec.dnsConfig.nameservers[1]: Invalid value: "moon": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff), spec.dnsConfig.nameservers[2]: Invalid value: "010.1.1.1": must not have leading 0s, `},
		{"Pod", spec(`"hostname":"A","subdomain":"B","activeDeadlineSeconds":0,"preemptionPolicy":"No","hostAliases":[{"ip":"x"}]`), `[spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive, spec.hostname: Invalid value: "A": ` + label + `, spec.subdomain: Invalid value: "B": ` + label +
			`, spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff), spec.preemptionPolicy: Unsupported value: "No": supported values: "PreemptLowerPriority", "Never"]`},
		{"Pod", spec(`"hostnameOverride":"a","setHostnameAsFQDN":true`), `spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true`},
		{"Pod", spec(`"readinessGates":[{"conditionType":"a b"}],"schedulingGates":[{"name":"g"},{"name":"g"}]`), `[spec.readinessGates[0].conditionType: Invalid value: "a b": ` + key + `, spec.schedulingGates[1]: Duplicate value: "g"]`},
		{"Pod", spec(`"overhead":{"moon":"1"}`), `spec.overhead.limits[moon]: Invalid value: "moon": must be a standard resource type or fully qualified`},
		// ValidateTolerations
		{"Pod", spec(`"tolerations":[{"operator":"Equal","value":"a"},{"key":"k","operator":"Exists","value":"v","tolerationSeconds":1,"effect":"NoSchedule"},{"key":"k","operator":"Lt","value":"1"},{"key":"k","operator":"Like","effect":"Never"}]`),
			`[spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when ` + "`key`" + ` is empty, which means "match all values and all keys", spec.tolerations[1].effect: Invalid value: "NoSchedule": effect must be 'NoExecute' when ` + "`tolerationSeconds`" + ` is set, ` +
				"spec.tolerations[1].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists', " + `spec.tolerations[2].operator: Unsupported value: "Lt": supported values: "Equal", "Exists", "Lt", "Gt", ` +
				`spec.tolerations[3].operator: Unsupported value: "Like": supported values: "Equal", "Exists", spec.tolerations[3].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"]`},
		// validateAffinity
		{"Pod", spec(`"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"In"},{"key":"b","operator":"Gt"},{"key":"c","operator":"Like"}],"matchFields":[{"key":"x","operator":"Exists"}]}]},"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":0,"preference":{}}]}}`),
			`[spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when ` + "`operator`" + ` is 'In' or 'NotIn', spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[1].values: Required value: must be specified single value when ` + "`operator`" + ` is 'Lt' or 'Gt', ` +
				`spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[2].operator: Invalid value: "Like": not a valid selector operator, spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].operator: Invalid value: "Exists": not a valid selector operator, ` +
				`spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "x": not a valid field selector key, spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100]`},
		{"Pod", spec(`"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"labelSelector":{"matchLabels":{"a":"b c"}},"matchLabelKeys":["k"],"mismatchLabelKeys":["k"]}]}}`), `spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchLabels: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters`},
		{"Pod", spec(`"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"matchLabelKeys":["k"]}]}}`), `[spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set, spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty, spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-empty, `},
		// validateTopologySpreadConstraints
		{"Pod", spec(`"topologySpreadConstraints":[{"maxSkew":0,"topologyKey":"z","whenUnsatisfiable":"ScheduleAnyway","minDomains":0,"nodeTaintsPolicy":"No"},{"maxSkew":1,"topologyKey":"z","whenUnsatisfiable":"ScheduleAnyway"}]`), `[spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero, spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{z, ScheduleAnyway}", ` +
			`spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero, spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway, spec.topologySpreadConstraints[0].nodeTaintsPolicy: Unsupported value: "No": supported values: "Honor", "Ignore"]`},
		// validateVolumeSource and what it calls
		{"Pod", vol(`"hostPath":{"path":"/a/../b","type":"Moon"},"secret":{}`), `[` + volume + `hostPath.path: Invalid value: "/a/../b": must not contain '..', ` + volume + `hostPath.type: Unsupported value: "Moon": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", ` + volume + `secret: Forbidden: may not specify more than 1 volume type]`},
		{"Pod", vol(`"secret":{"defaultMode":1000,"items":[{"path":"/a","mode":-1}]}`), `[` + volume + `secret.secretName: Required value, ` + volume + `secret.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive, ` + volume + `secret.items[0].key: Required value, ` + volume + `secret.items[0].path: Invalid value: "/a": must be a relative path, ` + volume + `secret.items[0].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive]`},
		{"Pod", vol(`"projected":{"sources":[{"serviceAccountToken":{"path":"..a","expirationSeconds":5}},{"secret":{"name":"s","items":[{"key":"k","path":"p"}]},"configMap":{"items":[{"key":"k","path":"p"}]}}]}`), `[` + volume + `projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes, ` + volume + `projected.path: Invalid value: "..a": must not start with '..', ` +
			volume + `projected.sources[1].configMap.name: Required value, ` + volume + `projected: Invalid value: "": conflicting duplicate paths, ` + volume + `projected.sources[1]: Forbidden: may not specify more than 1 volume type per source]`},
		{"Pod", vol(`"downwardAPI":{"items":[{"path":"p"},{"path":"q","fieldRef":{"fieldPath":"metadata.labels['a b']"}},{"path":"r","resourceFieldRef":{"resource":"limits.cpu"}}]}`), `[` + volume + `downwardAPI: Required value: one of fieldRef and resourceFieldRef is required, ` + volume + `downwardAPI.fieldRef: Invalid value: "a b": ` + key + `, ` + volume + `downwardAPI.resourceFieldRef.containerName: Required value]`},
		{"Pod", vol(`"csi":{"driver":"A_b"}`), volume + `csi.driver: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of`},
		{"Pod", vol(`"iscsi":{"targetPortal":"p","iqn":"moon","lun":256}`), `[` + volume + `iscsi.iqn: Invalid value: "moon": must be valid format starting with iqn, eui, or naa, ` + volume + `iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive]`},
		{"Pod", vol(`"nfs":{"server":"","path":"a"}`), `[` + volume + `nfs.server: Required value, ` + volume + `nfs.path: Invalid value: "a": must be an absolute path]`},
		{"Pod", vol(`"ephemeral":{"volumeClaimTemplate":{"metadata":{"name":"n"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"0"}}}}}`), `[` + volume + `ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set, ` + volume + `ephemeral.volumeClaimTemplate.spec.resources[storage]: Invalid value: "0": must be greater than zero]`},
		{"Pod", vol(`"image":{"pullPolicy":"No"}`), `[` + volume + `image.reference: Required value, ` + volume + `image.pullPolicy: Unsupported value: "No": supported values: "Always", "IfNotPresent", "Never"]`},
		{"Pod", vol(`"azureDisk":{"diskName":"d","diskURI":"u","kind":"Managed"}`), volume + `azureDisk.diskURI: Unsupported value: "u": supported values: "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"`},
		{"Pod", vol(`"fc":{"targetWWNs":["w"]},"rbd":{}`), `[` + volume + `rbd.monitors: Required value, ` + volume + `rbd.image: Required value, ` + volume + `fc: Forbidden: may not specify more than 1 volume type]`},
	}.run(t, "")
}

// TestPodAnnotations: those of a pod that have a meaning (Models
// ValidatePodSpecificAnnotations and what ValidatePodCreate calls).
func TestPodAnnotations(t *testing.T) {
	note := func(k, v string) string { return `"annotations":{"` + k + `":"` + v + `"}|` }
	localhost := of(`"securityContext":{"seccompProfile":{"type":"Localhost","localhostProfile":"p"}}`)
	refusals{
		{"Pod", note("controller.kubernetes.io/pod-deletion-cost", "+1") + spec(""), `metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+1": must be a 32bit integer`},
		{"Pod", note("seccomp.security.alpha.kubernetes.io/pod", "moon") + spec(""), `metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: "moon": must be a valid seccomp profile`},
		{"Pod", note("container.apparmor.security.beta.kubernetes.io/b", "moon") + spec(""), `[metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: "b": container not found, metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: "moon": invalid AppArmor profile name: "moon"]`},
		{"Pod", note("container.seccomp.security.alpha.kubernetes.io/a", "localhost/q") + localhost, `spec.containers[0].securityContext.seccompProfile.localhostProfile: Forbidden: seccomp profile in annotation and field must match`},
		{"Pod", note("container.apparmor.security.beta.kubernetes.io/a", "unconfined") + of(`"securityContext":{"appArmorProfile":{"type":"RuntimeDefault"}}`), `spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match`},
	}.run(t, "")
}

// TestPodUpdates: what of a pod may not change, and what its status may not say (Models
// ValidatePodUpdate and ValidatePodStatusUpdate).
func TestPodUpdates(t *testing.T) {
	const only = "Pod \"x\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
	plain := spec("")
	status := func(fields string) string { return plain + ` ~> "status":{` + fields + `}` }
	refusals{
		{"Pod", plain + " -> " + spec(`"hostname":"h"`), only},
		{"Pod", plain + ` -> "spec":{"containers":[{"name":"b","image":"i"}]}`, only},
		{"Pod", plain + ` -> "spec":{"containers":[{"name":"a","image":" i"}]}`, `spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace`},
		{"Pod", plain + ` -> "spec":{"containers":[` + plainContainer + `,{"name":"b","image":"i"}]}`, `spec.containers: Forbidden: pod updates may not add or remove containers`},
		{"Pod", spec(`"activeDeadlineSeconds":5`) + " -> " + spec(`"activeDeadlineSeconds":6`), `spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value`},
		{"Pod", spec(`"activeDeadlineSeconds":5`) + " -> " + spec(""), `spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value`},
		{"Pod", spec(`"tolerations":[{"key":"k","operator":"Exists"}]`) + " -> " + spec(""), `spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds`},
		{"Pod", plain + " -> " + spec(`"schedulingGates":[{"name":"g"}]`), `spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'`},
		{"Pod", spec(`"schedulingGates":[{"name":"g"}],"nodeSelector":{"a":"b"}`) + " -> " + spec(`"nodeSelector":{"a":"c"}`), `spec.nodeSelector: Invalid value: {"a":"c"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)`},
		{"Pod", plain + ` -> "annotations":{"kubernetes.io/config.mirror":"m"}|` + plain, `metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation`},
		{"Pod", plain + ` -> "deletionGracePeriodSeconds":5|` + plain, `metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable`},
		{"Pod", status(`"qosClass":"Guaranteed"`), `status.qosClass: Invalid value: "Guaranteed": field is immutable`},
		{"Pod", status(`"conditions":[{"type":"a b","status":"True","observedGeneration":-1}]`), `[status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer, status.conditions[0].Type: Invalid value: "a b": name part must consist of`},
		{"Pod", status(`"nominatedNodeName":"A"`), `status.nominatedNodeName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of`},
		{"Pod", status(`"podIPs":[{"ip":"moon"}],"hostIP":"1.1.1.1","hostIPs":[{"ip":"1.1.1.2"}]`), `[status.podIPs[0]: Invalid value: "moon": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff), status.hostIPs[0].ip: Invalid value: "1.1.1.2": must be equal to ` + "`hostIP`]"},
		{"Pod", status(`"podIPs":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"}]`), `status.podIPs: Invalid value: [{"IP":"1.1.1.1"},{"IP":"1.1.1.2"}]: may specify no more than one IP for each IP family`},
		{"Pod", status(`"resourceClaimStatuses":[{"name":"g"}]`), "status.resourceClaimStatuses[0].name: Invalid value: \"g\": must match the name of an entry in `spec.resourceClaims`"},
	}.run(t, "")
}

// TestPodsThatAreFine: what nobody has anything against, with what is filled in.
func TestPodsThatAreFine(t *testing.T) {
	g := newRig(t, "--allow-privileged")
	const pods = "/api/v1/namespaces/default/pods"
	g.create("/api/v1/namespaces/default/serviceaccounts", `{"metadata":{"name":"default"}}`)
	g.create(pods, `{"metadata":{"name":"x"},`+of(`"securityContext":{"privileged":true},"resources":{"limits":{"cpu":"1","memory":"1Gi"}},"livenessProbe":{"httpGet":{"port":80}},"ports":[{"containerPort":80}]`)+`}`)
	_, out := g.ask("GET", pods+"/x", g.admin(), "", "")
	c := out["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	for k, want := range map[string]any{"imagePullPolicy": "Always", "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"} {
		if c[k] != want {
			t.Errorf("%s is %v", k, c[k])
		}
	}
	if q := out["status"].(map[string]any)["qosClass"]; q != "Guaranteed" {
		t.Errorf("qosClass is %v", q)
	}
	// The same again, as it was written: what was filled in is no change.
	r := g.do(g.admin(), "PUT", pods+"/x", `{"metadata":{"name":"x"},`+of(`"securityContext":{"privileged":true},"resources":{"limits":{"cpu":"1","memory":"1Gi"}},"livenessProbe":{"httpGet":{"port":80}},"ports":[{"containerPort":80}]`)+`}`)
	if r.Code != 422 || !strings.Contains(string(r.Body), "pod updates may not change") {
		t.Errorf("the volume with the token is gone, and nobody minds: %s", r.Body)
	}
	for patch, want := range map[string]int{`{"spec":{"containers":[{"name":"a","image":"j:1"}]}}`: 200, `{"spec":{"activeDeadlineSeconds":5}}`: 200, `{"spec":{"tolerations":[{"key":"k","operator":"Exists"}]}}`: 200, `{"spec":{"dnsPolicy":"Default"}}`: 422} {
		if code, said := g.patched("strategic-merge-patch", pods+"/x", patch); code != want {
			t.Errorf("%s: %d %s", patch, code, said)
		}
	}
}

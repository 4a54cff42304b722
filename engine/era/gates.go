package era

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Gates are the feature gates that Kubernetes' components know, by how stable
// they are: GA is empty. A name that is on by default ends with +, one that is
// locked to its default with !. GateNeeds are those that need others: NAME:OTHER,….
var (
	Gates = row("gates", Fact[map[string]string]{Value: map[string]string{
		"": `APIServerTracing+! AllowServiceExternalIPs+ AnonymousAuthConfigurableEndpoints+! AnyVolumeDataSource+!
		AuthorizeNodeWithSelectors+! AuthorizeWithSelectors+! BtreeWatchCache+! CPUManagerPolicyOptions+! CRDValidationRatcheting+!
		CSIServiceAccountTokenSecrets+! ConsistentListFromCache+! CustomCPUCFSQuotaPeriod+ CustomResourceFieldSelectors+! DRAAdminAccess+!
		DRAPrioritizedList+ DeclarativeValidation+! DisableAllocatorDualWrite+! DynamicResourceAllocation+! ExecProbeTimeout+!
		ExternalServiceAccountTokenSigner+! ImageMaximumGCAge+! ImageVolume+! InOrderInformers+! InPlacePodVerticalScaling+!
		InformerResourceVersion+ JobBackoffLimitPerIndex+! JobManagedBy+! JobPodReplacementPolicy+! JobSuccessPolicy+!
		KubeletCgroupDriverFromCRI+! KubeletFineGrainedAuthz+! KubeletPSI+! KubeletPodResourcesDynamicResources+! KubeletPodResourcesGet+!
		KubeletTracing+! LogarithmicScaleDown+! MatchLabelKeysInPodAffinity+! MultiCIDRServiceAllocator+! MutableCSINodeAllocatableCount+!
		MutatingAdmissionPolicy+ NFTablesProxyMode+! NodeInclusionPolicyInPodTopologySpread+! NodeLogQuery+! NodeSwap+!
		OrderedNamespaceDeletion+! PodLifecycleSleepAction+! PodLifecycleSleepActionAllowZero+! PodObservedGenerationTracking+!
		PodSchedulingReadiness+! PreferSameTrafficDistribution+! ProcMountType+! RecoverVolumeExpansionFailure+! RecursiveReadOnlyMounts+!
		RelaxedDNSSearchValidation+! RelaxedEnvironmentVariableValidation+! ResilientWatchCacheInitialization+! RetryGenerateName+!
		SELinuxChangePolicy+! SELinuxMountReadWriteOncePod+! SchedulerQueueingHints+! SeparateTaintEvictionController+!
		ServiceAccountTokenJTI+! ServiceAccountTokenNodeBinding+! ServiceAccountTokenNodeBindingValidation+!
		ServiceAccountTokenPodNodeInfo+! SidecarContainers+! StreamingCollectionEncodingToJSON+! StreamingCollectionEncodingToProtobuf+!
		StructuredAuthenticationConfiguration+! SupplementalGroupsPolicy+! SystemdWatchdog+! TopologyManagerPolicyOptions+!
		UserNamespacesSupport+! VolumeAttributesClass+! WinDSR+! WinOverlay+!`,
		"ALPHA": `APIServingWithRoutine AllAlpha AllowUnsafeMalformedObjectDeletion CBORServingAndStorage CPUManagerPolicyAlphaOptions
		CRIListStreaming CSIVolumeHealth ClientsAllowCBOR ClientsPreferCBOR CloudControllerManagerWatchBasedRoutesReconciliation
		CloudControllerManagerWebhook ContainerStopSignals CrossNamespaceVolumeDataSource DRAListTypeAttributes
		DRANodeAllocatableResources DRAResourcePoolStatus DRAWorkloadResourceClaims EventedPLEG GangScheduling GenericWorkload
		HPAScaleToZero ImageVolumeWithDigest InPlacePodVerticalScalingExclusiveCPUs InPlacePodVerticalScalingExclusiveMemory
		KubeletInUserNamespace LoggingAlphaOptions ManifestBasedAdmissionControlConfig MemoryQoS MutablePVNodeAffinity NativeHistograms
		PersistentVolumeClaimUnusedSinceTime PodAndContainerStatsFromCRI PodLevelResourceManagers PodLogsQuerySplitStreams PodsAPI
		QOSReserved ReduceDefaultCrashLoopBackOffDecay RuntimeClassInImageCriApi ShardedListAndWatch StorageCapacityScoring
		StorageVersionAPI TaintTolerationComparisonOperators TopologyAwareWorkloadScheduling TopologyManagerPolicyAlphaOptions
		UserNamespacesHostNetworkSupport VolumeLimitScaling WindowsCPUAndMemoryAffinity WorkloadAwarePreemption WorkloadWithJob`,
		"BETA": `APIResponseCompression+ APIServerIdentity+ AllBeta AllowParsingUserUIDFromCertAuth+ AtomicFIFO+
		AuthorizePodWebsocketUpgradeCreatePermission+ CPUManagerPolicyBetaOptions+ CRDObservedGenerationTracking+
		ClearingNominatedNodeNameAfterBinding+ ClientsAllowCARotation+ ClientsAllowTLSCacheGC+ ClusterTrustBundle
		ClusterTrustBundleProjection ComponentFlagz+ ComponentStatusz+ ConcurrentWatchObjectDecode ConstrainedImpersonation+
		ContainerCheckpoint+ ContainerRestartRules+ ContextualLogging+ CoordinatedLeaderElection DRAConsumableCapacity+
		DRADeviceBindingConditions+ DRADeviceTaintRules DRADeviceTaints+ DRAExtendedResource+ DRAPartitionableDevices+
		DRAResourceClaimDeviceStatus+ DRAResourceClaimGranularStatusAuthorization+ DRASchedulerFilterTimeout+ DeclarativeValidationBeta+
		DeploymentReplicaSetTerminatingReplicas+ DetectCacheInconsistency+ EnvFiles+ ExtendWebSocketsToKubelet+ GracefulNodeShutdown+
		GracefulNodeShutdownBasedOnPodPriority+ HPAConfigurableTolerance+ HostnameOverride+ InOrderInformersBatchProcess+
		InPlacePodLevelResourcesVerticalScaling+ InPlacePodVerticalScalingInitContainers+ KubeletCrashLoopBackOffMax+
		KubeletEnsureSecretPulledImages+ KubeletSeparateDiskGC+ KubeletServiceAccountTokenForCredentialProviders+ ListFromCacheSnapshot+
		LocalStorageCapacityIsolationFSQuotaMonitoring LoggingBetaOptions+ MatchLabelKeysInPodTopologySpread+
		MatchLabelKeysInPodTopologySpreadSelectorMerge+ MaxUnavailableStatefulSet MutablePodResourcesForSuspendedJobs+
		MutableSchedulingDirectivesForSuspendedJobs+ NodeDeclaredFeatures+ NominatedNodeNameForExpectation+ OpenAPIEnums+
		OpportunisticBatching+ PLEGOnDemandRelist+ PodCertificateRequest PodDeletionCost+ PodLevelResources+
		PodReadyToStartContainersCondition+ PodTopologyLabelsAdmission+ PortForwardWebsockets+ PreventStaticPodAPIReferences+
		RelaxedServiceNameValidation+ ReloadKubeletClientCAFile+ ReloadKubeletServerCertificateFile+ RemoteRequestHeaderUID+
		ResourceHealthStatus+ ResourceHealthStatusMessage+ RestartAllContainersOnContainerExits+ RotateKubeletServerCertificate+
		SELinuxMount SchedulerAsyncAPICalls SchedulerAsyncPreemption+ SchedulerPopFromBackoffQ+ ServiceAccountNodeAudienceRestriction+
		SizeBasedListCostEstimate+ StaleControllerConsistencyDaemonSet+ StaleControllerConsistencyJob+
		StaleControllerConsistencyReplicaSet+ StaleControllerConsistencyStatefulSet+ StatefulSetSemanticRevisionComparison+
		StorageVersionHash+ StorageVersionMigrator StrictIPCIDRValidation+ StructuredAuthenticationConfigurationEgressSelector+
		StructuredAuthenticationConfigurationJWKSMetrics+ TokenRequestServiceAccountUIDValidation+ TopologyManagerPolicyBetaOptions+
		TranslateStreamCloseWebsocketRequests+ UnauthenticatedHTTP2DOSMitigation+ UnknownVersionInteroperabilityProxy+
		UnlockWhileProcessingFIFO+ WatchCacheInitializationPostStartHook+ WatchList+ WatchListClient+ WindowsGracefulNodeShutdown+`,
		"DEPRECATED": `AggregatedDiscoveryRemoveBetaType+! AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests
		AllowOverwriteTerminationGracePeriodSeconds! ChangeContainerStatusOnKubeletRestart DeclarativeValidationTakeover
		DisableCPUQuotaWithExclusiveCPUs+ DisableNodeKubeProxyVersion+! GitRepoVolumeDriver! KMSv1 KubeletPodResourcesListUseActivePods+
		KubeletRegistrationGetOnExistsOnly SeparateCacheWatchRPC! ServiceCIDRStatusFieldWiping+ StorageNamespaceIndex+ WindowsHostNetwork`,
	}, Source: "pkg/features, with those of apiserver, client-go and component-base, as utilfeature.DefaultMutableFeatureGate lists them"})
	GateNeeds = row("gates/needs", Fact[string]{Value: `AuthorizeNodeWithSelectors:AuthorizeWithSelectors ClusterTrustBundleProjection:ClusterTrustBundle
		DRAAdminAccess:DynamicResourceAllocation DRAConsumableCapacity:DynamicResourceAllocation
		DRADeviceBindingConditions:DRAResourceClaimDeviceStatus,DynamicResourceAllocation DRADeviceTaintRules:DRADeviceTaints
		DRADeviceTaints:DynamicResourceAllocation DRAExtendedResource:DynamicResourceAllocation
		DRAListTypeAttributes:DynamicResourceAllocation DRANodeAllocatableResources:DynamicResourceAllocation
		DRAPartitionableDevices:DynamicResourceAllocation DRAPrioritizedList:DynamicResourceAllocation
		DRAResourceClaimGranularStatusAuthorization:DRAResourceClaimDeviceStatus,DynamicResourceAllocation
		DRAResourcePoolStatus:DynamicResourceAllocation DRASchedulerFilterTimeout:DynamicResourceAllocation
		DRAWorkloadResourceClaims:DynamicResourceAllocation,GenericWorkload DeclarativeValidationBeta:DeclarativeValidation
		DeclarativeValidationTakeover:DeclarativeValidation DisableAllocatorDualWrite:MultiCIDRServiceAllocator
		ExtendWebSocketsToKubelet:NodeDeclaredFeatures GangScheduling:GenericWorkload
		GracefulNodeShutdownBasedOnPodPriority:GracefulNodeShutdown ImageVolumeWithDigest:ImageVolume
		InPlacePodLevelResourcesVerticalScaling:InPlacePodVerticalScaling,NodeDeclaredFeatures,PodLevelResources
		InPlacePodVerticalScalingExclusiveCPUs:InPlacePodVerticalScaling
		InPlacePodVerticalScalingExclusiveMemory:InPlacePodVerticalScaling
		InPlacePodVerticalScalingInitContainers:InPlacePodVerticalScaling,NodeDeclaredFeatures
		MatchLabelKeysInPodTopologySpreadSelectorMerge:MatchLabelKeysInPodTopologySpread PodCertificateRequest:AuthorizeNodeWithSelectors
		PodLevelResourceManagers:PodLevelResources PodLifecycleSleepActionAllowZero:PodLifecycleSleepAction
		ProcMountType:UserNamespacesSupport ResourceHealthStatus:DynamicResourceAllocation
		ResourceHealthStatusMessage:ResourceHealthStatus RestartAllContainersOnContainerExits:ContainerRestartRules,NodeDeclaredFeatures
		ServiceAccountTokenNodeBinding:ServiceAccountTokenNodeBindingValidation StaleControllerConsistencyDaemonSet:AtomicFIFO
		StaleControllerConsistencyJob:AtomicFIFO StaleControllerConsistencyReplicaSet:AtomicFIFO
		StaleControllerConsistencyStatefulSet:AtomicFIFO StorageVersionAPI:APIServerIdentity
		StructuredAuthenticationConfigurationEgressSelector:StructuredAuthenticationConfiguration
		StructuredAuthenticationConfigurationJWKSMetrics:StructuredAuthenticationConfiguration
		TopologyAwareWorkloadScheduling:GenericWorkload UnknownVersionInteroperabilityProxy:APIServerIdentity
		UserNamespacesHostNetworkSupport:NodeDeclaredFeatures,UserNamespacesSupport WindowsGracefulNodeShutdown:GracefulNodeShutdown
		WorkloadAwarePreemption:GangScheduling WorkloadWithJob:GenericWorkload`, Source: "utilfeature.DefaultMutableFeatureGate.Dependencies"})
)

// ReadGates reads the values of --feature-gates, as components do that may have
// gates of several components: NAME=true, or kube:NAME=true. What comes back is a
// log line for each gate whose time is over. Models component-base/cli/flag
// ColonSeparatedMultimapStringString and component-base/compatibility Set.
func (e Era) ReadGates(values []string) (over []string, err error) {
	of := map[string][]string{}
	for _, pair := range strings.Split(strings.Join(values, ","), ",") {
		component, gate, named := strings.Cut(pair, ":")
		if !named {
			component, gate = "", pair
		}
		if component = strings.TrimSpace(component); pair != "" {
			of[component] = append(of[component], strings.TrimSpace(gate))
		}
	}
	if of[""] != nil && of["kube"] != nil {
		return nil, fmt.Errorf("set kube feature gates with default empty prefix or kube: prefix consistently, do not mix use")
	}
	set := map[string]bool{}
	for _, component := range slices.Sorted(maps.Keys(of)) {
		if component != "" && component != "kube" {
			return nil, fmt.Errorf("component not registered: %s", component)
		}
		for _, gate := range of[component] {
			name, value, ok := strings.Cut(gate, "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if !ok {
				return nil, fmt.Errorf("missing bool value for %s", name)
			}
			on, err := strconv.ParseBool(value)
			if err != nil {
				return nil, fmt.Errorf("invalid value of %s=%s, err: %v", name, value, err)
			}
			set[name] = on
		}
	}
	return e.CheckGates(set)
}

// gate is a feature gate as its row tells it.
type gate struct {
	stage      string
	on, locked bool
}

func (e Era) gate(name string) (g gate, known bool) {
	for stage, text := range Gates.In(e) {
		for word := range strings.FieldsSeq(text) {
			if strings.HasPrefix(word, name) && strings.TrimRight(word, "+!") == name {
				return gate{stage, strings.Contains(word, "+"), strings.HasSuffix(word, "!")}, true
			}
		}
	}
	return gate{}, false
}

// KnowsGate tells whether there is a feature gate of that name.
func (e Era) KnowsGate(name string) bool {
	_, known := e.gate(name)
	return known
}

// GateOn tells whether a feature is on when these gates are set.
func (e Era) GateOn(name string, set map[string]bool) bool {
	g, _ := e.gate(name)
	for _, n := range []string{name, map[string]string{"ALPHA": "AllAlpha", "BETA": "AllBeta"}[g.stage]} {
		if v, ok := set[n]; ok {
			return v
		}
	}
	return g.on
}

// CheckGates refuses gates that can't be set so, in the words of
// component-base/featuregate SetFromMap, and returns a log line for each whose
// time is over.
func (e Era) CheckGates(set map[string]bool) (over []string, err error) {
	if len(set) == 0 {
		return nil, nil
	}
	var bad []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		g, known := e.gate(name)
		stage := map[string]string{"": "GA", "DEPRECATED": "deprecated"}[g.stage]
		switch {
		case !known:
			return nil, fmt.Errorf("unrecognized feature gate: %s", name)
		case g.locked && g.on != set[name]:
			bad = append(bad, fmt.Sprintf("cannot set feature gate %v to %v, feature is locked to %v", name, set[name], g.on))
		case stage != "":
			over = append(over, fmt.Sprintf("%q featureGate=%q value=%v", "Warning: setting "+stage+" feature gate. It will be removed in a future release.", name, set[name]))
		}
	}
	on := func(name string) bool { return e.GateOn(name, set) }
	refused := len(bad) > 0
	for _, word := range strings.Fields(GateNeeds.In(e)) {
		name, needs, _ := strings.Cut(word, ":")
		var off []string
		for _, need := range strings.Split(needs, ",") {
			if !on(need) {
				off = append(off, need)
			}
		}
		if !refused && len(off) > 0 && on(name) {
			bad = append(bad, fmt.Sprintf("%s is enabled, but depends on features that are disabled: %v", name, off))
		}
	}
	switch len(bad) {
	case 0:
		return over, nil
	case 1:
		return nil, fmt.Errorf("%s", bad[0])
	}
	return nil, fmt.Errorf("[%s]", strings.Join(bad, ", "))
}

package era

// What kube-controller-manager writes into its log, where its words changed: in the
// order of the values that it is given. A line is where 1.36 has it, and in older
// releases where the first one had it that worded it so; those of 1.7 and 1.8 are
// recorded in golden-old.
const (
	csrSource     = "pkg/controller/certificates/certificate_controller.go"
	cleanerSource = "pkg/controller/certificates/cleaner/cleaner.go"
	managerSource = "cmd/kube-controller-manager/app/controllermanager.go"
	filesSource   = "cmd/kube-controller-manager/app/certificates.go"
	secretSource  = "pkg/controller/bootstrap"
	tokenSource   = "pkg/controller/serviceaccount/tokens_controller.go"
	builderSource = "k8s.io/controller-manager/pkg/clientbuilder, pkg/controller/client_builder.go"
)

var (
	LineCSRAdded = lines("controllers/log/csr-added", csrSource+"; golden-old d",
		"1.7 I4 certificate_controller.go:73] Adding certificate request %[2]s",
		"1.8 I4 certificate_controller.go:72] Adding certificate request %[2]s",
		"1.9 I4 certificate_controller.go:77] Adding certificate request %[2]s",
		`1.28 I4 certificate_controller.go:84] "Adding certificate request" logger csr`)
	LineCSRUpdated = lines("controllers/log/csr-updated", csrSource+"; golden-old d",
		"1.7 I4 certificate_controller.go:78] Updating certificate request %[2]s",
		"1.8 I4 certificate_controller.go:77] Updating certificate request %[2]s",
		"1.9 I4 certificate_controller.go:82] Updating certificate request %[2]s",
		`1.28 I4 certificate_controller.go:89] "Updating certificate request" logger old`)
	LineCSRDeleted = lines("controllers/log/csr-deleted", csrSource,
		"1.7 I4 certificate_controller.go:95] Deleting certificate request %[2]s",
		`1.28 I4 certificate_controller.go:106] "Deleting certificate request" logger csr`)
	LineCSRGone = lines("controllers/log/csr-gone", csrSource,
		"1.7 I3 certificate_controller.go:169] csr has been deleted: %s",
		`1.28 I3 certificate_controller.go:187] "csr has been deleted" csr`)
	LineCSRSynced = lines("controllers/log/csr-synced", csrSource+"; golden-old d",
		"1.7 I4 certificate_controller.go:165] Finished syncing certificate request %q (%v)",
		"1.8 I4 certificate_controller.go:164] Finished syncing certificate request %q (%v)",
		"1.9 I4 certificate_controller.go:172] Finished syncing certificate request %q (%v)",
		`1.28 I4 certificate_controller.go:183] "Finished syncing certificate request" csr elapsedTime`)
	LineCSRIgnored = lines("controllers/log/csr-ignored", csrSource,
		"1.9 I4 certificate_controller.go:146] Sync %s failed with : %s",
		`1.28 I4 certificate_controller.go:160] "Sync certificate request failed" csr err`)
	LineCSRFailed = lines("controllers/log/csr-failed", csrSource,
		"1.7 E0 certificate_controller.go:140] Sync %s failed with : %s",
		"1.8 E0 certificate_controller.go:139] Sync %s failed with : %s",
		"1.9 E0 certificate_controller.go:144] Sync %s failed with : %s",
		"1.31 E0 certificate_controller.go:158] Sync %s failed with : %s")
	LineCSRStart = lines("controllers/log/csr-start", csrSource,
		"1.7 I0 certificate_controller.go:110] Starting certificate controller",
		"1.17 I0 certificate_controller.go:118] Starting certificate controller %q",
		`1.28 I0 certificate_controller.go:120] "Starting certificate controller" name`)
	LineSigned = lines("controllers/log/signed", "github.com/cloudflare/cfssl/signer/local; golden-old d",
		"1.7 I0 logs.go:41] [INFO] signed certificate with serial number %v",
		"1.13 I0 log.go:172] [INFO] signed certificate with serial number %v",
		"1.17 -")

	LineCleanerStart = lines("controllers/log/cleaner-start", cleanerSource,
		"1.9 I0 cleaner.go:81] Starting CSR cleaner controller",
		`1.28 I0 cleaner.go:83] "Starting CSR cleaner controller"`)
	LineCleanerError = lines("controllers/log/cleaner-error", cleanerSource,
		"1.9 E0 cleaner.go:100] Error while attempting to clean CSR %[2]q: %[1]v",
		`1.28 E0 cleaner.go:109] "Error while attempting to clean CSR" err csr`)
	LineCleansApproved = lines("controllers/log/cleans-approved", cleanerSource,
		"1.9 I0 cleaner.go:166] Cleaning CSR %q as it is more than %v old and approved.",
		`1.28 I0 cleaner.go:189] "Cleaning CSR as it is more than approvedExpiration duration old and approved." csr approvedExpiration`)
	LineCleansDenied = lines("controllers/log/cleans-denied", cleanerSource,
		"1.9 I0 cleaner.go:153] Cleaning CSR %q as it is more than %v old and denied.",
		`1.28 I0 cleaner.go:160] "Cleaning CSR as it is more than deniedExpiration duration old and denied." csr deniedExpiration`)
	LineCleansFailed = lines("controllers/log/cleans-failed", cleanerSource,
		"1.19 I0 cleaner.go:167] Cleaning CSR %q as it is more than %v old and failed.",
		`1.28 I0 cleaner.go:173] "Cleaning CSR as it is more than deniedExpiration duration old and failed." csr deniedExpiration`)
	LineCleansPending = lines("controllers/log/cleans-pending", cleanerSource,
		"1.9 I0 cleaner.go:141] Cleaning CSR %q as it is more than %v old and unhandled.",
		`1.28 I0 cleaner.go:148] "Cleaning CSR as it is more than pendingExpiration duration old and unhandled." csr pendingExpiration`)
	LineCleansUnissued = lines("controllers/log/cleans-unissued", cleanerSource,
		`1.35 I0 cleaner.go:205] "Cleaning CSR as it is approved but unissued for more than pendingExpiration duration." csr pendingExpiration`)
	LineCleansExpired = lines("controllers/log/cleans-expired", cleanerSource,
		"1.9 I0 cleaner.go:129] Cleaning CSR %q as the associated certificate is expired.%%!(EXTRA time.Duration=1h0m0s)",
		"1.10 I0 cleaner.go:129] Cleaning CSR %q as the associated certificate is expired.",
		`1.28 I0 cleaner.go:134] "Cleaning CSR as the associated certificate is expired." csr`)

	LineListFailed = lines("controllers/log/list-failed", "k8s.io/client-go/tools/cache/reflector.go",
		"1.7 E0 reflector.go:205] k8s.io/client-go/informers/factory.go:87: Failed to list %[2]s: %[1]s",
		"1.19 E0 reflector.go:127] k8s.io/client-go/informers/factory.go:134: Failed to watch %[2]s: failed to list %[2]s: %[1]s",
		`1.31 E0 reflector.go:158] "Unhandled Error" err=7 logger=4`,
		`1.33 E0 reflector.go:200] "Failed to watch" err=6 logger=4 reflector=5 type=2`,
		`1.36 E0 reflector.go:204] "Failed to watch" err=3 logger=4 reflector=5`)

	LineThrottled = lines("controllers/log/throttled", "k8s.io/client-go/rest/request.go",
		"1.7 I4 request.go:638] Throttling request took %[1]v, request: %[3]s:%[4]s",
		"1.18 I3 request.go:557] Throttling request took %[1]v, request: %[3]s:%[4]s",
		"1.21 I3 request.go:600] Waited for %[1]v due to client-side throttling, not priority and fairness, request: %[3]s:%[4]s",
		`1.34 I3 request.go:683] "Waited before sending request" delay reason verb URL`)
	LineThrottledLong = lines("controllers/log/throttled-long", "k8s.io/client-go/rest/request.go globalThrottledLogger",
		"1.18 I0 request.go:621] Throttling request took %[1]v, request: %[3]s:%[4]s",
		"1.21 I0 request.go:668] Waited for %[1]v due to client-side throttling, not priority and fairness, request: %[3]s:%[4]s",
		`1.34 I0 request.go:752] "Waited before sending request" delay reason verb URL`)

	LineNoSigner = lines("controllers/log/no-signer", filesSource,
		"1.17 I2 certificates.go:45] skipping CSR signer controller because no csr cert/key was specified",
		`1.27 I0 certificates.go:59] "Skipping CSR signer controller because no csr cert/key was specified"`,
		`1.36 I0 certificates.go:59] "Skipping CSR signer controller because no csr cert/key was specified" logger`)
	LineNoDefaultFiles = lines("controllers/log/no-default-files", filesSource,
		"1.17 I2 certificates.go:83] skipping CSR signer controller because no csr cert/key was specified and the default files are missing",
		"1.19 -")
	LineDefaultFiles = lines("controllers/log/default-files", filesSource,
		"1.9 W0 certificates.go:66] You might be using flag defaulting for --cluster-signing-cert-file and --cluster-signing-key-file. These defaults are deprecated and will be removed in a subsequent release. Please pass these options explicitly.",
		"1.19 -")
	LineOtherSigner = lines("controllers/log/other-signer", filesSource+"; recorded: e4/per-signer-kcm.log",
		"1.19 I2 certificates.go:66] skipping CSR signer controller %[2]q because specific files were specified for other signers and not this one.",
		`1.27 I0 certificates.go:85] "Skipping CSR signer controller because specific files were specified for other signers and not this one" logger controller`)
	LineSignerError = lines("controllers/log/signer-error", filesSource,
		"1.7 E0 certificates.go:55] Failed to start certificate controller: %v", "1.9 -")
	LinePairLoaded = lines("controllers/log/pair-loaded", "k8s.io/apiserver/pkg/server/dynamiccertificates",
		`1.18 I2 dynamic_serving_content.go:111] Loaded a new cert/key pair for %q`,
		`1.22 I2 dynamic_serving_content.go:116] "Loaded a new cert/key pair" name`)
	LinePairStart = lines("controllers/log/pair-start", "k8s.io/apiserver/pkg/server/dynamiccertificates",
		`1.18 I0 dynamic_serving_content.go:130] Starting %s`,
		`1.22 I0 dynamic_serving_content.go:135] "Starting controller" name`)

	LineVersion = lines("controllers/log/version", managerSource,
		`1.7 I0 controllermanager.go:107] Version: %v`,
		`1.8 I0 controllermanager.go:109] Version: %v`,
		`1.27 I0 controllermanager.go:188] "Starting" version`)
	LineControllerOff = lines("controllers/log/controller-off", managerSource,
		"1.7 W0 controllermanager.go:422] %q is disabled",
		`1.27 I0 controllermanager.go:735] "Warning: controller is disabled" controller`)
	LineControllerStarts = lines("controllers/log/controller-starts", managerSource,
		"1.7 I1 controllermanager.go:428] Starting %q",
		`1.27 I1 controllermanager.go:609] "Starting controller" controller`,
		`1.35 I1 controllermanager.go:810] "Controller starting..." controller`)
	LineControllerStarted = lines("controllers/log/controller-started", managerSource,
		"1.7 I0 controllermanager.go:439] Started %q",
		`1.27 I0 controllermanager.go:638] "Started controller" controller`,
		"1.35 -")
	LineControllerError = lines("controllers/log/controller-error", managerSource,
		"1.7 E0 controllermanager.go:431] Error starting %[2]q",
		`1.27 E0 controllermanager.go:612] "Error starting controller" err controller`,
		`1.35 E0 controllermanager.go:683] "Error initializing a controller" err controller`)
	LineControllerSkipped = lines("controllers/log/controller-skipped", managerSource,
		"1.7 W0 controllermanager.go:435] Skipping %q",
		`1.27 I0 controllermanager.go:687] "Warning: skipping controller" controller`)
	LineControllersError = lines("controllers/log/controllers-error", managerSource,
		"1.7 F0 controllermanager.go:172] error starting controllers: %v",
		`1.27 E0 controllermanager.go:238] "Error starting controllers" err`,
		`1.35 E0 controllermanager.go:296] "Error building controllers" err`)
	LineContextError = lines("controllers/log/context-error", managerSource,
		"1.7 F0 controllermanager.go:168] error building controller context: %v",
		`1.27 E0 controllermanager.go:224] "Error building controller context" err`)
	LineNotHealthy = lines("controllers/log/not-healthy", managerSource,
		"1.7 E0 controllermanager.go:395] Server isn't healthy yet.  Waiting a little while.", "1.10 -")
	LineLockError = lines("controllers/log/lock-error", managerSource,
		"1.7 F0 controllermanager.go:201] error creating lock: %v",
		`1.27 E0 controllermanager.go:871] "Error creating lock" err`)
	LineLost = lines("controllers/log/lost", managerSource,
		"1.7 F0 controllermanager.go:213] leaderelection lost",
		`1.24 E0 controllermanager.go:355] "leaderelection lost"`)
	LineNoAccountKey = lines("controllers/log/no-account-key", managerSource,
		"1.7 W0 controllermanager.go:459] %q is disabled because there is no private key",
		"1.8 W0 controllermanager.go:502] %q is disabled because there is no private key",
		`1.27 I0 controllermanager.go:620] "Controller is disabled because there is no private key" controller`)
	LineNoKeyForAccounts = lines("controllers/log/no-key-for-accounts", managerSource,
		"1.8 -",
		"1.9 W0 controllermanager.go:144] --use-service-account-credentials was specified without providing a --service-account-private-key-file",
		`1.27 I0 controllermanager.go:838] "Warning: --use-service-account-credentials was specified without providing a --service-account-private-key-file"`)
	LineRoots = lines("controllers/log/root-ca-start", "pkg/controller/certificates/rootcacertpublisher/publisher.go",
		"1.13 I0 publisher.go:98] Starting root CA certificate configmap publisher",
		`1.28 I0 publisher.go:107] "Starting root CA cert publisher controller"`)

	LineTokenCleanerStart = lines("controllers/log/token-cleaner-start", secretSource+"/tokencleaner.go",
		"1.10 I0 tokencleaner.go:116] Starting token cleaner controller",
		`1.27 I0 tokencleaner.go:117] "Starting token cleaner controller"`)
	LineTokenGone = lines("controllers/log/token-gone", secretSource+"/tokencleaner.go",
		"1.10 I3 tokencleaner.go:174] secret has been deleted: %s",
		`1.27 I3 tokencleaner.go:183] "Secret has been deleted" secret`)
	LineTokenSynced = lines("controllers/log/token-synced", secretSource+"/tokencleaner.go",
		"1.10 I4 tokencleaner.go:164] Finished syncing secret %q (%v)",
		`1.27 I4 tokencleaner.go:173] "Finished syncing secret" secret elapsedTime`)
	LineTokenDeleted = lines("controllers/log/token-deleted", secretSource+"/tokencleaner.go",
		"1.7 I3 tokencleaner.go:116] Deleting expired secret %s",
		"1.10 I3 tokencleaner.go:191] Deleting expired secret %s",
		`1.27 I3 tokencleaner.go:202] "Deleting expired secret" secret`)
	LineTokenStays = lines("controllers/log/token-stays", secretSource+"/tokencleaner.go",
		"1.7 I3 tokencleaner.go:125] Error deleting Secret: %v",
		`1.27 I3 tokencleaner.go:210] "Error deleting secret" err`)
	LineTokenName = lines("controllers/log/token-name", secretSource+"/util.go",
		"1.7 I3 util.go:55] Invalid secret name: %s. Must be of form bootstrap-token-<secret-id>.",
		`1.27 I3 util.go:34] "Invalid secret name, must be of the form bootstrap-token-<secret-id>" secretName`)
	LineTokenNoID = lines("controllers/log/token-no-id", secretSource+"/util.go",
		"1.7 I3 util.go:61] No %s key in %s Secret",
		`1.27 I3 util.go:40] "No key in Secret" key secret`)
	LineTokenID = lines("controllers/log/token-id", secretSource+"/util.go",
		"1.7 I3 util.go:66] Token ID (%[1]s) doesn't match secret name: %[3]s",
		`1.27 I3 util.go:45] "Token ID doesn't match secret name" tokenID secretName`)
	LineTokenNoSecret = lines("controllers/log/token-no-secret", secretSource+"/util.go",
		"1.7 I3 util.go:72] No %s key in %s Secret",
		`1.27 I3 util.go:51] "No key in secret" key secret`)
	LineInfoNoKey = lines("controllers/log/info-no-key", secretSource+"/bootstrapsigner.go",
		"1.7 I3 bootstrapsigner.go:181] No %s key in %s ConfigMap",
		`1.27 I3 bootstrapsigner.go:225] "No key in ConfigMap" key configMap`)
	LineInfoError = lines("controllers/log/info-error", secretSource+"/bootstrapsigner.go",
		"1.7 I3 bootstrapsigner.go:222] Error updating ConfigMap: %v",
		`1.27 I3 bootstrapsigner.go:265] "Error updating ConfigMap" err`)

	LineAccountsStart = lines("controllers/log/accounts-start", "pkg/controller/serviceaccount/serviceaccounts_controller.go",
		"1.7 I0 serviceaccounts_controller.go:113] Starting service account controller",
		`1.27 I0 serviceaccounts_controller.go:114] "Starting service account controller"`)
	LineAccountSynced = lines("controllers/log/account-synced", "pkg/controller/serviceaccount/serviceaccounts_controller.go",
		"1.7 I4 serviceaccounts_controller.go:184] Finished syncing namespace %q (%v)",
		`1.27 I4 serviceaccounts_controller.go:184] "Finished syncing namespace" namespace duration`)
	LineAccountGone = lines("controllers/log/account-gone", tokenSource,
		"1.7 I4 tokens_controller.go:280] syncSecret(%s), service account does not exist, deleting token",
		`1.27 I4 tokens_controller.go:280] "Service account does not exist, deleting token" secret`)
	LineSeatGone = lines("controllers/log/seat-gone", tokenSource,
		"1.7 I4 tokens_controller.go:223] syncServiceAccount(%s/%s), service account deleted, removing tokens",
		`1.27 I4 tokens_controller.go:229] "Service account deleted, removing tokens" namespace serviceaccount`)
	LineTokenError = lines("controllers/log/token-error", tokenSource,
		"1.7 E0 tokens_controller.go:293] error populating serviceaccount token %[2]s for service account %[3]s: %[1]v",
		`1.27 E0 tokens_controller.go:293] "Error populating serviceaccount token" err secret`)
	LineTokenGivenUp = lines("controllers/log/token-given-up", tokenSource,
		`1.7 I4 tokens_controller.go:187] retried %d times: %q`)
	LineSeatError = lines("controllers/log/seat-error", tokenSource,
		"1.7 E0 tokens_controller.go:231] error synchronizing serviceaccount %s: %v", "1.27 -")
	LineTokenUndone = lines("controllers/log/token-undone", tokenSource,
		"1.7 I2 tokens_controller.go:412] deleting secret %s because reference couldn't be added (%v)", "1.27 -")
	LineSeatStale = lines("controllers/log/seat-stale", tokenSource,
		"1.7 I4 tokens_controller.go:344] liveServiceAccount.ResourceVersion (%s) does not match cache (%s), retrying", "1.27 -")

	LineLegacyBuilder = lines("controllers/log/legacy-builder", managerSource,
		"1.15 I1 controllermanager.go:215] using legacy client builder", "1.21 -")
	LineDynamicBuilder = lines("controllers/log/dynamic-builder", managerSource,
		"1.15 I1 controllermanager.go:209] using dynamic client builder", "1.21 -")
	LineVerified = lines("controllers/log/verified", builderSource,
		"1.7 I4 client_builder.go:233] Verified credential for %[2]s/%[1]s",
		"1.14 I4 client_builder.go:233] Verified credential for %[1]s/%[2]s", "1.21 -")
	LineInvalidToken = lines("controllers/log/invalid-token", builderSource,
		"1.7 W0 client_builder.go:226] Token for %[2]s/%[1]s did not authenticate correctly",
		"1.14 W0 client_builder.go:226] Token for %[1]s/%[2]s did not authenticate correctly", "1.21 -")
	LineNoClient = lines("controllers/log/no-client", builderSource,
		"1.7 F0 client_builder.go:249] %v",
		"1.15 F0 client_builder_dynamic.go:136] %v",
		`1.36 E0 client_builder_dynamic.go:127] "Error in getting client" err`)
	LineAccountFailed = lines("controllers/log/account-failed", builderSource,
		"1.15 W0 client_builder_dynamic.go:173] get or create service account failed: %[3]v",
		`1.36 I0 client_builder_dynamic.go:185] "get or create service account failed" namespace serviceAccountName error`)
	LineTokenRequestFailed = lines("controllers/log/token-request-failed", builderSource,
		"1.15 W0 client_builder_dynamic.go:183] get token failed: %[3]v",
		`1.36 I0 client_builder_dynamic.go:195] "get token failed" namespace serviceAccountName error`)

	LineNamespacesStart = lines("controllers/log/namespaces-start", "pkg/controller/namespace/namespace_controller.go",
		"1.8 I0 namespace_controller.go:186] Starting namespace controller",
		`1.27 I0 namespace_controller.go:202] "Starting namespace controller"`)
	LineNamespaceEnds = lines("controllers/log/namespace-ends", "pkg/controller/namespace/deletion/namespaced_resources_deleter.go",
		"1.7 I4 namespaced_resources_deleter.go:499] namespace controller - deleteAllContent - namespace: %s",
		`1.27 I4 namespaced_resources_deleter.go:510] "namespace controller - deleteAllContent" namespace`)
	LineNamespaceGone = lines("controllers/log/namespace-gone", "pkg/controller/namespace/namespace_controller.go",
		"1.7 I0 namespace_controller.go:171] Namespace has been deleted %s",
		`1.27 I0 namespace_controller.go:187] "Namespace has been deleted" namespace`)
	LineAggregatorStart = lines("controllers/log/aggregator-start", "pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go",
		"1.9 I0 clusterroleaggregation_controller.go:148] Starting ClusterRoleAggregator",
		`1.28 I0 clusterroleaggregation_controller.go:189] "Starting ClusterRoleAggregator controller"`,
		`1.36 I0 clusterroleaggregation_controller.go:193] "Starting controller" controller`)
	LineCollectorStart = lines("controllers/log/collector-start", "pkg/controller/garbagecollector/garbagecollector.go",
		"1.7 I0 garbagecollector.go:123] Starting garbage collector controller",
		`1.27 I0 garbagecollector.go:141] "Starting controller" controller`)
	LineCollects = lines("controllers/log/collects", "pkg/controller/garbagecollector/garbagecollector.go",
		"1.7 I2 garbagecollector.go:288] processing item %[1]s",
		`1.19 I2 garbagecollector.go:404] "Processing object" object=3 objectUID=4 kind=5`,
		`1.20 I2 garbagecollector.go:471] "Processing object" object=3 objectUID=4 kind=5 virtual=2`,
		`1.27 I2 garbagecollector.go:506] "Processing item" item virtual`)
	LineCollected = lines("controllers/log/collected", "pkg/controller/garbagecollector/garbagecollector.go",
		"1.7 I2 garbagecollector.go:391] delete object %[1]s with propagation policy %[2]s",
		`1.19 I2 garbagecollector.go:516] "Deleting object" object=3 objectUID=4 kind=5 propagationPolicy=2`,
		`1.27 I2 garbagecollector.go:650] "Deleting item" item propagationPolicy`)
)

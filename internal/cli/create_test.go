package cli

import (
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// creations are command lines with every flag, and what they print with --export.
func creations() map[string]struct{ args, want string } {
	return map[string]struct{ args, want string }{
		"Git": {
			"source git shop --url https://git.example.com/shop --branch main --secret-ref login --proxy-secret-ref proxy --provider generic " +
				"--recurse-submodules --sparse-checkout-paths deploy,base --ignore-paths *.md,docs/ --fetch-timeout 30s --interval 10m --label team=shop,tier=web",
			`apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: shop, namespace: team, labels: {team: shop, tier: web}}
spec:
  url: https://git.example.com/shop
  ref: {branch: main}
  secretRef: {name: login}
  proxySecretRef: {name: proxy}
  provider: generic
  recurseSubmodules: true
  sparseCheckout: [deploy, base]
  ignore: "*.md\ndocs/"
  timeout: 30s
  interval: 10m0s`,
		},
		"GitTags": {
			"source git shop --url ssh://git@git.example.com/shop --tag-semver 1.x",
			`apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: shop, namespace: team}
spec: {url: "ssh://git@git.example.com/shop", ref: {semver: 1.x}, interval: 1m0s}`,
		},
		"GitCommit": {
			"source git shop --url https://git.example.com/shop --branch main --commit 0123456789abcdef0123456789abcdef01234567",
			`apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: shop, namespace: team}
spec: {url: "https://git.example.com/shop", ref: {branch: main, commit: 0123456789abcdef0123456789abcdef01234567}, interval: 1m0s}`,
		},
		"OCI": {
			"source oci shop --url oci://registry.example.com/team/shop --tag latest --secret-ref login --service-account robot --cert-ref ca " +
				"--proxy-secret-ref proxy --insecure --verify-provider cosign --verify-secret-ref keys --ignore-paths *.md --fetch-timeout 30s",
			`apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: shop, namespace: team}
spec:
  url: oci://registry.example.com/team/shop
  ref: {tag: latest}
  secretRef: {name: login}
  serviceAccountName: robot
  certSecretRef: {name: ca}
  proxySecretRef: {name: proxy}
  insecure: true
  verify: {provider: cosign, secretRef: {name: keys}}
  ignore: "*.md"
  timeout: 30s
  interval: 1m0s`,
		},
		"Bucket": {
			"source bucket shop --endpoint s3.example.com:9000 --bucket-name manifests --prefix shop/ --region eu --secret-ref keys --cert-ref ca " +
				"--proxy-secret-ref proxy --insecure",
			`apiVersion: source.toolkit.fluxcd.io/v1
kind: Bucket
metadata: {name: shop, namespace: team}
spec:
  provider: generic
  endpoint: s3.example.com:9000
  bucketName: manifests
  prefix: shop/
  region: eu
  secretRef: {name: keys}
  certSecretRef: {name: ca}
  proxySecretRef: {name: proxy}
  insecure: true
  interval: 1m0s`,
		},
		"Kustomization": {
			"kustomization shop --source oci/shop.sources --path ./deploy --prune --wait --health-check-timeout 3m --retry-interval 2m --target-namespace shop " +
				"--service-account deployer --depends-on base,infra/net --decryption-provider sops --decryption-secret keys --kubeconfig-secret-ref far",
			`apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: shop, namespace: team}
spec:
  sourceRef: {kind: OCIRepository, name: shop, namespace: sources}
  path: ./deploy
  prune: true
  wait: true
  timeout: 3m0s
  retryInterval: 2m0s
  targetNamespace: shop
  serviceAccountName: deployer
  dependsOn: [{name: base}, {name: net, namespace: infra}]
  decryption: {provider: sops, secretRef: {name: keys}}
  kubeConfig: {secretRef: {name: far}}
  interval: 1m0s`,
		},
		"External": {
			"ks shop --source ExternalArtifact/theirs",
			`apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: shop, namespace: team}
spec: {sourceRef: {kind: ExternalArtifact, name: theirs}, path: ./, prune: false, interval: 1m0s}`,
		},
		"Receiver": {
			"receiver push --type github --event push,ping --secret-ref token --resource gitrepository/shop,HelmRepository/charts",
			`apiVersion: notification.toolkit.fluxcd.io/v1
kind: Receiver
metadata: {name: push, namespace: team}
spec:
  type: github
  events: [push, ping]
  secretRef: {name: token}
  resources: [{kind: GitRepository, name: shop}, {kind: HelmRepository, name: charts}]
  interval: 10m0s`,
		},
	}
}

func TestCreateExports(t *testing.T) {
	for name, tc := range creations() {
		t.Run(name, func(t *testing.T) {
			// No cluster is there to be asked.
			t.Setenv("KUBECONFIG", t.TempDir()+"/none")
			got := slipway(t, append(append([]string{"create"}, strings.Fields(tc.args)...), "-n", "team", "--export")...)
			got.want(t, ExitDone)
			a, b := canonical(t, got.out), canonical(t, tc.want)
			if a != b {
				t.Errorf("got\n%s\nwant\n%s", a, b)
			}
		})
	}
}

// TestCreateExportsWhatAClusterTakes: what is printed goes through the API server's own checks.
func TestCreateExportsWhatAClusterTakes(t *testing.T) {
	w := newWorld(t)
	for name, tc := range creations() {
		got := slipway(t, append(append([]string{"create"}, strings.Fields(tc.args)...), "-n", w.namespace, "--export")...)
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(got.out), &obj.Object); err != nil {
			t.Fatal(err)
		}
		if err := w.Create(t.Context(), obj, client.DryRunAll, client.FieldValidation("Strict")); err != nil {
			t.Errorf("%s: %v\n%s", name, err, got.out)
		}
	}
}

// canonical writes a document in one way, whichever way it was written.
func canonical(t *testing.T, text string) string {
	t.Helper()
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	out, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestCreateRefusesBeforeItAsksAnybody(t *testing.T) {
	const git, url = "source git shop --url https://git.example.com/shop ", "https://git.example.com/shop"
	for name, tc := range map[string]struct{ args, says string }{
		"NoURL":         {"source git shop --branch main", "--url is missing"},
		"NoRevision":    {git, "exactly one of --branch, --commit"},
		"TwoRevisions":  {git + "--branch main --tag v1", "exactly one of"},
		"Scheme":        {"source git shop --branch main --url ftp://git.example.com/shop", "spec.url"},
		"Range":         {git + "--tag-semver one.two", "no range of versions"},
		"Cloud":         {git + "--branch main --provider azure", "is not supported"},
		"Provider":      {git + "--branch main --provider aws", "spec.provider"},
		"App":           {git + "--branch main --provider github", "githubAppID"},
		"Name":          {strings.Replace(git, "shop", "Shop_1", 1) + "--branch main", "can't be a name"},
		"Label":         {git + "--branch main --label team=a/b", "--label team=a/b"},
		"OCIScheme":     {"source oci shop --tag latest --url " + url, "^oci://"},
		"OCINoTag":      {"source oci shop --url oci://registry.example.com/shop", "exactly one of --digest, --tag, --tag-semver"},
		"OCIVerify":     {"source oci shop --tag a --url oci://registry.example.com/shop --verify-provider pgp", "cosign, notation"},
		"OCIKeys":       {"source oci shop --tag a --url oci://registry.example.com/shop --verify-secret-ref keys", "--verify-provider"},
		"BucketName":    {"source bucket shop --endpoint s3.example.com", "--bucket-name is missing"},
		"BucketCloud":   {"source bucket shop --endpoint s3.example.com --bucket-name b --provider gcp", "not served"},
		"BucketScheme":  {"source bucket shop --endpoint https://s3.example.com --bucket-name b", "endpoint"},
		"NoSource":      {"kustomization shop", "--source is missing"},
		"SourceKind":    {"kustomization shop --source HelmRepository/shop", "no kind of source"},
		"SourceNoName":  {"kustomization shop --source git/", "[KIND/]NAME[.NAMESPACE]"},
		"Namespace":     {"kustomization shop --source shop --target-namespace " + strings.Repeat("n", 64), "spec.targetNamespace"},
		"Decryption":    {"kustomization shop --source shop --decryption-provider vault", "sops"},
		"DecryptionKey": {"kustomization shop --source shop --decryption-secret keys", "--decryption-provider"},
		"ReceiverType":  {"receiver push --type carrier-pigeon --secret-ref token --resource GitRepository/shop", "spec.type"},
		"ReceiverKind":  {"receiver push --type generic --secret-ref token --resource Pod/shop", "spec.resources[0].kind"},
		"ReceiverToken": {"receiver push --type generic --resource GitRepository/shop", "--secret-ref is missing"},
		"Resource":      {"receiver push --type generic --secret-ref token --resource shop", "want KIND/NAME"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", t.TempDir()+"/none")
			got := slipway(t, append([]string{"create"}, strings.Fields(tc.args)...)...)
			got.want(t, ExitUsage, tc.says)
			if got.out != "" {
				t.Errorf("prints %q", got.out)
			}
		})
	}
}

func TestCreateAppliesAndWaits(t *testing.T) {
	w := newWorld(t)
	reply := func(k kind, message string, status metav1.ConditionStatus) {
		w.noticing(k, func(obj delivered) metav1.Condition { return condition(meta.ReadyCondition, status, "Told", message) })
	}
	reply(gitRepositoryKind(), "stored artifact", metav1.ConditionTrue)
	reply(kustomizationKind(), "no such folder", metav1.ConditionFalse)
	git := []string{"create", "source", "git", "shop", "--url", "https://git.example.com/shop", "--label", "team=shop"}
	w.slipway(append(git, "--branch", "main", "--interval", "5m", "--timeout", "3m")...).want(t, ExitDone, "GitRepository "+w.namespace+"/shop applied", "stored artifact")
	w.slipway(append(git, "--tag", "v1", "--timeout", "3m")...).want(t, ExitDone, "stored artifact")
	obj := &sourcev1.GitRepository{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "shop"}, obj); err != nil {
		t.Fatal(err)
	}
	if obj.Spec.Reference.Branch != "" || obj.Spec.Reference.Tag != "v1" || obj.Spec.Interval.Duration != time.Minute || obj.Labels["team"] != "shop" {
		t.Errorf("after the second one: %+v, %v", obj.Spec, obj.Labels)
	}
	w.slipway("create", "kustomization", "shop", "--source", "shop", "--timeout", "3m").want(t, ExitFailed, "Kustomization "+w.namespace+"/shop applied", "no such folder")
	w.slipway("create", "kustomization", "later", "--source", "shop", "--no-wait").want(t, ExitDone, "applied")

	ks := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "later"}}
	if err := w.Patch(t.Context(), ks, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"path":"./theirs"}}`)), client.FieldOwner("kubectl-edit")); err != nil {
		t.Fatal(err)
	}
	mine := []string{"create", "kustomization", "later", "--source", "shop", "--path", "./mine", "--no-wait"}
	w.slipway(mine...).want(t, ExitFailed, "kubectl-edit", "--force-conflicts")
	w.slipway(append(mine, "--force-conflicts")...).want(t, ExitDone, "applied")
	w.slipway("suspend", "ks", "later").want(t, ExitDone)
	w.slipway("create", "kustomization", "later", "--source", "shop", "--path", "./mine").want(t, ExitDone, "it is suspended", "slipway resume")
}

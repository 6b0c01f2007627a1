package permit_test

import (
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/permit"
)

// objects reads YAML.
func objects(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for doc := range strings.SplitSeq(text, "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		out = append(out, o)
	}
	return out
}

func grant(t *testing.T, spec string) *v1alpha1.ModuleGrant {
	t.Helper()
	g := &v1alpha1.ModuleGrant{ObjectMeta: metav1.ObjectMeta{Name: "runners"}}
	if err := yaml.UnmarshalStrict([]byte(spec), &g.Spec); err != nil {
		t.Fatal(err)
	}
	return g
}

// served are the kinds of a cluster.
func served(gk schema.GroupKind) (permit.Served, bool) {
	inside := map[string]string{
		"Pod": "pods", "Deployment": "deployments", "ConfigMap": "configmaps", "Secret": "secrets", "ServiceAccount": "serviceaccounts",
		"Role": "roles", "RoleBinding": "rolebindings", "Kustomization": "kustomizations", "Endpoints": "endpoints", "CronJob": "cronjobs",
	}
	outside := map[string]string{
		"Namespace": "namespaces", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings",
		"CustomResourceDefinition": "customresourcedefinitions", "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
		"ValidatingWebhookConfiguration": "validatingwebhookconfigurations", "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
		"Module": "modules", "ModuleGrant": "modulegrants", "Interpreter": "interpreters", "PersistentVolume": "persistentvolumes",
		"ValidatingAdmissionPolicy": "validatingadmissionpolicies",
	}
	if r, ok := inside[gk.Kind]; ok {
		return permit.Served{Resource: r, Namespaced: true}, true
	}
	r, ok := outside[gk.Kind]
	return permit.Served{Resource: r}, ok
}

const account = `apiVersion: v1
kind: ServiceAccount
metadata: {name: runner, namespace: runners}`

func clusterRole(name, rules string) string {
	return "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: " + name + "}\nrules: " + rules
}

func clusterBinding(role, subject string) string {
	return "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: b}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: " +
		role + "}\nsubjects: [" + subject + "]"
}

const (
	ownSubject = `{kind: ServiceAccount, name: runner, namespace: runners}`
	boat       = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.sea.example}
spec: {group: sea.example, scope: Namespaced, names: {kind: Boat, plural: boats}, versions: []}`
)

func pod(spec string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: runners}\nspec: " + spec
}

func join(docs ...string) string { return strings.Join(docs, "\n---\n") }

// live is a cluster with Kubernetes' own roles, and with things that somebody left behind.
func live() permit.Live {
	bootstrap := map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"}
	all := []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}, {NonResourceURLs: []string{"*"}, Verbs: []string{"*"}}}
	secrets := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}}
	ref := func(name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
	}
	return permit.Live{
		ClusterRoles: []rbacv1.ClusterRole{
			{ObjectMeta: metav1.ObjectMeta{Name: "cluster-admin", Labels: bootstrap}, Rules: all},
			{
				ObjectMeta: metav1.ObjectMeta{Name: "view", Labels: bootstrap}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}},
				AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}}}},
			},
			{
				ObjectMeta:      metav1.ObjectMeta{Name: "collector"},
				AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"team": "a"}}}},
			},
			{ObjectMeta: metav1.ObjectMeta{Name: "somebodys"}, Rules: secrets},
		},
		ClusterRoleBindings: []rbacv1.ClusterRoleBinding{
			{
				ObjectMeta: metav1.ObjectMeta{Name: "left-behind"}, RoleRef: ref("cluster-admin"),
				Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "tiller", Name: "tiller"}},
			},
			{ObjectMeta: metav1.ObjectMeta{Name: "waiting"}, RoleRef: ref("to-come"), Subjects: []rbacv1.Subject{{Kind: "Group", Name: "devs"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "all-of-builds"}, RoleRef: ref("somebodys"), Subjects: []rbacv1.Subject{{Kind: "Group", Name: "system:serviceaccounts:builds"}}},
		},
	}
}

// webhook is a configuration of kind Mutating or Validating, for a resource.
func webhook(kind, group, resource, more string) string {
	return "apiVersion: admissionregistration.k8s.io/v1\nkind: " + kind + "WebhookConfiguration\nmetadata: {name: w}\nwebhooks: [{name: w.sea.example, admissionReviewVersions: [v1], sideEffects: None, clientConfig: {url: 'https://x'}" +
		more + ", rules: [{apiGroups: [\"" + group + "\"], apiVersions: [\"*\"], operations: [CREATE, UPDATE], resources: [\"" + resource + "\"], scope: Namespaced}]}]"
}

const hooks = `clusterObjects: [{group: admissionregistration.k8s.io, kind: MutatingWebhookConfiguration}, {group: admissionregistration.k8s.io, kind: ValidatingWebhookConfiguration}, {group: admissionregistration.k8s.io, kind: MutatingAdmissionPolicy}, {group: apiextensions.k8s.io, kind: CustomResourceDefinition}]`

// wideRoles are roles that stand for many single rights each.
func wideRoles(n int) string {
	var verbs, resources, all []string
	for i := range 60 {
		verbs, resources = append(verbs, fmt.Sprint("v", i)), append(resources, fmt.Sprint("r", i))
	}
	for i := range n {
		all = append(all, clusterRole(fmt.Sprint("r", i), "[{apiGroups: [\"\", apps], verbs: ["+strings.Join(verbs, ", ")+"], resources: ["+strings.Join(resources, ", ")+"]}]"))
	}
	return join(all...)
}

// asks is a gate that asks one object, as somebody does who wants to know what is in it.
func asks(apiVersion, kind, name string) []v1alpha1.Check {
	return []v1alpha1.Check{{Name: "spy", Object: &v1alpha1.ObjectCheck{APIVersion: apiVersion, Kind: kind, Name: name, Expression: "self.spec.password.startsWith('a')"}}}
}

// TestAttacks is what authors of packages and of Modules try.
func TestAttacks(t *testing.T) {
	const readPods = `{namespaces: [runners], rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]`
	cases := map[string]struct {
		reason    string
		grant     string
		objects   string
		namespace string
		foreign   bool
		theirs    map[kube.Ref]string
		declared  v1alpha1.Permissions
		checks    []v1alpha1.Check
		want      []string // parts of findings; none: all is well
	}{
		"RolesWithoutGrant": {
			reason: "without a grant there are no roles", objects: clusterRole("r", `[{apiGroups: [""], resources: [pods], verbs: [get]}]`),
			want: []string{"ClusterRole/r is a role, or gives one, in the whole cluster", "ClusterRole/r allows more than is granted"},
		},
		"NamespacedIsNotEnough": {
			reason: "what is granted in a namespace isn't granted in the cluster", grant: readPods + "}",
			objects: join(clusterRole("r", `[{apiGroups: [""], resources: [pods], verbs: [get]}]`), clusterBinding("r", ownSubject), account),
			want:    []string{`ClusterRole/r allows more than is granted, in the whole cluster. Missing in clusterRules of ModuleGrant runners: - {apiGroups: [""], resources: [pods], verbs: [get]}`},
		},
		"BoundInItsNamespace": {
			reason: "a ClusterRole that is bound in a namespace counts there", grant: readPods + "}",
			objects: join(clusterRole("r", `[{apiGroups: [""], resources: [pods], verbs: [get]}]`), account,
				"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b, namespace: runners}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}\nsubjects: ["+ownSubject+"]"),
		},
		"WaitedFor": {
			reason: "a binding of the cluster waits for a role of that name", grant: readPods + "}",
			objects: clusterRole("to-come", `[{apiGroups: [""], resources: [pods], verbs: [get]}]`),
			want:    []string{"ClusterRole/to-come allows more than is granted, in the whole cluster"},
		},
		"LeftBehindBinding": {
			reason: "an account of that name has rights already", grant: `{namespaces: [tiller]}`, namespace: "tiller",
			objects: "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: tiller, namespace: tiller}",
			want:    []string{"ServiceAccount/tiller/tiller allows more than is granted, because ClusterRoleBinding/left-behind gives service account tiller/tiller rights already"},
		},
		"RunsAsSomebody": {
			reason: "pods run as an account that is there and has rights", grant: `{namespaces: [tiller, runners]}`,
			objects: "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: tiller}\nspec: {serviceAccount: tiller, containers: [{name: c, image: i}]}",
			want:    []string{"Pod/tiller/p allows more than is granted, because ClusterRoleBinding/left-behind"},
		},
		"TokenOfSomebody": {
			reason: "a Secret asks for the token of an account", grant: `{namespaces: [tiller]}`,
			objects: "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\nmetadata: {name: s, namespace: tiller, annotations: {kubernetes.io/service-account.name: tiller}}",
			want:    []string{"Secret/tiller/s allows more than is granted, because ClusterRoleBinding/left-behind"},
		},
		"NamespaceWithRights": {
			reason: "all accounts of a namespace have rights", namespace: "builds",
			objects: "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: builds}\nspec: {containers: [{name: c, image: i}]}",
			want:    []string{"Pod/builds/p allows more than is granted, because ClusterRoleBinding/all-of-builds gives service account builds/default rights already"},
		},
		"ClusterAdmin": {
			reason: "binding to a role of Kubernetes counts as what it allows", grant: `{namespaces: [runners], rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}`,
			objects: join(clusterBinding("cluster-admin", ownSubject), account),
			want:    []string{`ClusterRoleBinding/b allows more than is granted, by ClusterRole cluster-admin, in the whole cluster.`, `{nonResourceURLs: ["*"], verbs: ["*"]}`},
		},
		"RoleOfSomebody": {
			reason: "whoever owns the role may widen it", grant: `{clusterRules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]}`,
			objects: join(clusterBinding("somebodys", ownSubject), account),
			want:    []string{"ClusterRoleBinding/b binds to ClusterRole somebodys, which isn't in the package"},
		},
		"RoleOfNobody": {
			reason: "whoever makes the role later doesn't know", grant: `{clusterRules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]}`,
			objects: join(clusterBinding("later", ownSubject), account),
			want:    []string{"binds to ClusterRole later, which doesn't exist"},
		},
		"ViewOfKubernetes": {
			reason: "roles of Kubernetes may be bound where they are granted", grant: `{clusterRules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}`,
			objects: join(clusterBinding("view", ownSubject), account),
		},
		"CollectsEverything": {
			reason: "what an aggregated role will be nobody knows", grant: `{clusterRules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}`,
			objects: "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: []\naggregationRule: {clusterRoleSelectors: [{matchLabels: {team: a}}]}",
			want:    []string{"ClusterRole/r allows more than is granted, because it collects the rules of other roles"},
		},
		"AddsToView": {
			reason: "a granted right must not be passed on to everybody who may view", grant: `{clusterRules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]}`,
			objects: "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, labels: {rbac.authorization.k8s.io/aggregate-to-view: \"true\"}}\nrules: [{apiGroups: [\"\"], resources: [secrets], verbs: [get]}]",
			want:    []string{"ClusterRole/r adds its rules to ClusterRole/view"},
		},
		"AddsToACollector": {
			reason: "any role that collects counts", grant: `{clusterRules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]}`,
			objects: "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, labels: {team: a}}\nrules: [{apiGroups: [\"\"], resources: [secrets], verbs: [get]}]",
			want:    []string{"ClusterRole/r adds its rules to ClusterRole/collector"},
		},
		"AddsItsOwnKinds": {
			reason: "what the package defines it may open to people", grant: `{clusterRules: [{apiGroups: [sea.example], resources: ["*"], verbs: ["*"]}], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition, names: ["*.sea.example"]}]}`,
			objects: join(boat, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, labels: {rbac.authorization.k8s.io/aggregate-to-view: \"true\"}}\nrules: [{apiGroups: [sea.example], resources: [boats], verbs: [get]}]"),
		},
		"OneKindOfAGroup": {
			reason: "to define one kind of a group makes no other of it the package's", grant: `{clusterRules: [{apiGroups: [sea.example], resources: ["*"], verbs: ["*"]}], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition, names: ["*.sea.example"]}]}`,
			objects: join(boat, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, labels: {rbac.authorization.k8s.io/aggregate-to-view: \"true\"}}\nrules: [{apiGroups: [sea.example], resources: [boats, ports], verbs: [get]}]"),
			want:    []string{"ClusterRole/r adds its rules to ClusterRole/view"},
		},
		"ForgedDefault": {
			reason: "nobody makes a role of Kubernetes by a label", grant: readPods + "}",
			objects: "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, labels: {kubernetes.io/bootstrapping: rbac-defaults}}\nrules: []",
			want:    []string{"says by the label kubernetes.io/bootstrapping"},
		},
		"Escalate": {
			reason: "* doesn't stand for escalate", grant: `{clusterRules: [{apiGroups: [rbac.authorization.k8s.io], resources: ["*"], verbs: ["*"]}]}`,
			objects: clusterRole("r", `[{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: ["*"]}]`),
			want:    []string{`{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [bind, escalate]}`},
		},
		"EscalateNamed": {
			reason: "who names it means it", grant: `{clusterRules: [{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [escalate, bind, get]}]}`,
			objects: clusterRole("r", `[{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [bind, escalate]}]`),
		},
		"Impersonate": {
			reason: "who may act as anybody may do anything", grant: `{clusterRules: [{apiGroups: ["*"], resources: [users, groups, serviceaccounts], verbs: ["*"]}]}`,
			objects: clusterRole("r", `[{apiGroups: [""], resources: [users], verbs: [impersonate]}]`),
			want:    []string{`{apiGroups: [""], resources: [users], verbs: [impersonate]}`},
		},
		"ImpersonateMasters": {
			reason: "system:masters is worth more than any other group", grant: `{clusterRules: [{apiGroups: [""], resources: [groups], verbs: [impersonate]}]}`,
			objects: clusterRole("r", `[{apiGroups: [""], resources: [groups], verbs: [impersonate]}]`),
			want:    []string{`{apiGroups: [""], resources: [groups], resourceNames: ["system:masters"], verbs: [impersonate]}`},
		},
		"ImpersonateOneUser": {
			reason: "a name in the grant is no other name", grant: `{clusterRules: [{apiGroups: [""], resources: [users], resourceNames: [bot], verbs: [impersonate]}]}`,
			objects: clusterRole("r", `[{apiGroups: [""], resources: [users], resourceNames: [bot, admin], verbs: [impersonate]}]`),
			want:    []string{`resourceNames: [admin], verbs: [impersonate]`},
		},
		"AgentsAccount": {
			reason: "nobody widens the agent", grant: `{clusterRules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}`,
			objects: join(clusterRole("r", `[{apiGroups: [""], resources: [pods], verbs: [get]}]`), clusterBinding("r", `{kind: User, apiGroup: rbac.authorization.k8s.io, name: "system:serviceaccount:slipway-system:slipway-agent"}`)),
			want:    []string{"gives rights to the agent's own service account"},
		},
		"Masters": {
			reason: "nobody speaks of system:masters", grant: `{clusterRules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}`,
			objects: join(clusterRole("r", `[{apiGroups: [""], resources: [pods], verbs: [get]}]`), clusterBinding("r", `{kind: Group, apiGroup: rbac.authorization.k8s.io, name: "system:masters"}`)),
			want:    []string{"system:masters"},
		},
		"Everybody": {
			reason: "no rights without a login", grant: `{clusterRules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}`,
			objects: join(clusterRole("r", `[{apiGroups: [""], resources: [pods], verbs: [get]}]`), clusterBinding("r", `{kind: Group, apiGroup: rbac.authorization.k8s.io, name: "system:unauthenticated"}`)),
			want:    []string{"without a login"},
		},
		"EverybodyWithALogin": {
			reason: "a granted right must not be passed on to everybody", grant: `{clusterRules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]}`,
			objects: join(clusterRole("r", `[{apiGroups: [""], resources: [secrets], verbs: [get]}]`), clusterBinding("r", `{kind: Group, apiGroup: rbac.authorization.k8s.io, name: "system:authenticated"}`)),
			want:    []string{"gives rights to all of system:authenticated"},
		},
		"SystemRole": {
			reason: "roles of Kubernetes are nobody's", grant: `{clusterRules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}], clusterObjects: [{group: rbac.authorization.k8s.io, kind: ClusterRole}]}`,
			objects: join(clusterRole("system:node", `[]`), clusterRole("view", `[]`)),
			want:    []string{"ClusterRole/system:node is a role of Kubernetes itself", "ClusterRole/view is a role of Kubernetes itself"},
		},
		"TakesARoleOver": {
			reason: "adopt doesn't take over roles of others", grant: `{clusterRules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]}`,
			objects: clusterRole("somebodys", `[{apiGroups: [""], resources: [secrets], verbs: [get]}]`),
			theirs:  map[kube.Ref]string{{Group: rbacv1.GroupName, Kind: "ClusterRole", Name: "somebodys"}: "somebody"},
			want:    []string{"ClusterRole/somebodys is there already and belongs to somebody"},
		},
		"KubeSystem": {
			reason: "a namespace that was there isn't the module's because it says so", namespace: "kube-system", foreign: true,
			objects: "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: kube-system}\nspec: {containers: [{name: c, image: i}]}",
			want:    []string{"Pod/kube-system/p is in namespace kube-system, which was there before the Module"},
		},
		"AgentsNamespace": {
			reason: "* doesn't stand for the agent's namespace", grant: `{namespaces: ["*"]}`,
			objects: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: slipway-system}",
			want:    []string{"is in the agent's own namespace"},
		},
		"AgentsToken": {
			reason: "nor is its account for others, where the namespace is granted", grant: `{namespaces: [slipway-system]}`,
			objects: "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: slipway-system}\nspec: {serviceAccountName: slipway-agent, containers: [{name: c, image: i}]}",
			want:    []string{"runs as the agent's own service account"},
		},
		"OtherNamespace": {
			reason: "objects stay where they may be", grant: readPods + "}",
			objects: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}",
			want:    []string{"ConfigMap/shop/c is in namespace shop, where the package may have nothing"},
		},
		"GrantsItself": {
			reason: "a package doesn't write its own grant", grant: `{clusterObjects: [{group: slipway.dev, kind: ModuleGrant}, {group: slipway.dev, kind: Module}]}`,
			objects: "apiVersion: slipway.dev/v1alpha1\nkind: ModuleGrant\nmetadata: {name: g}\n---\napiVersion: slipway.dev/v1alpha1\nkind: Module\nmetadata: {name: m}",
			want:    []string{"ModuleGrant/g is of a kind of Slipway", "Module/m is of a kind of Slipway"},
		},
		"ReplacesOurDefinition": {
			reason: "nor does it define our kinds", grant: `{clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`,
			objects: "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: modules.slipway.dev}\nspec: {group: slipway.dev, scope: Cluster, names: {kind: Module}}",
			want:    []string{"is part of Slipway itself"},
		},
		"ReplacesOurPolicy": {
			reason: "nor does it switch off who guards our kinds", grant: `{clusterObjects: [{group: admissionregistration.k8s.io, kind: ValidatingAdmissionPolicy}]}`,
			objects: "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: slipway-modules}",
			want:    []string{"is part of Slipway itself"},
		},
		"ClusterObject": {
			reason: "kinds without a namespace have to be listed, by name where the grant has names", grant: `{clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition, names: ["*.actions.github.com"]}]}`,
			objects: join(boat, "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: w}"),
			want: []string{
				`CustomResourceDefinition/boats.sea.example has no namespace. Missing in clusterObjects of ModuleGrant runners: - {group: "apiextensions.k8s.io", kind: CustomResourceDefinition, names: ["boats.sea.example"]}`,
				"MutatingWebhookConfiguration/w has no namespace",
			},
		},
		"AnotherControllersKind": {
			reason: "an object of another controller's kind works with that controller's rights", grant: `{namespaces: [runners]}`,
			objects: "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k, namespace: runners}",
			want:    []string{`Kustomization/runners/k is of a kind that another controller acts on. Missing in rules of ModuleGrant runners: - {apiGroups: [kustomize.toolkit.fluxcd.io], resources: [kustomizations], verbs: [create]}`},
		},
		"AnotherControllersKindAsItsOwn": {
			reason: "to define the kind of another controller again doesn't make it the package's", grant: `{namespaces: [runners], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`,
			objects: "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k, namespace: runners}\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: kustomizations.kustomize.toolkit.fluxcd.io}\nspec: {group: kustomize.toolkit.fluxcd.io, scope: Namespaced, names: {kind: Kustomization}}",
			theirs:  map[kube.Ref]string{{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "kustomizations.kustomize.toolkit.fluxcd.io"}: "somebody"},
			want:    []string{"Kustomization/runners/k is of a kind that another controller acts on"},
		},
		"WebhookChangesRoles": {
			reason: "whoever may change what others write into roles writes roles", grant: "{" + hooks + "}", objects: webhook("Mutating", "rbac.authorization.k8s.io", "clusterroles", ""),
			want: []string{`MutatingWebhookConfiguration/w sees and may change every write`, `Missing in clusterRules of ModuleGrant runners: - {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [get, update]}`},
		},
		"WebhookReadsSecrets": {
			reason: "whoever is asked about Secrets reads them", grant: "{" + hooks + "}", objects: webhook("Validating", "*", "*/*", ""),
			want: []string{`ValidatingWebhookConfiguration/w sees every write`, `{apiGroups: ["*"], resources: ["*"], verbs: [get]}`},
		},
		"WebhookOfItsOwn": {reason: "its own kinds are the package's", grant: "{" + hooks + "}", objects: join(boat, webhook("Mutating", "sea.example", "boats", ""))},
		"WebhookGranted": {
			reason: "what is granted may be intercepted", grant: `{clusterRules: [{apiGroups: [""], resources: [pods], verbs: [get, update]}], ` + hooks + "}", objects: webhook("Mutating", "", "pods", ""),
		},
		"WebhookInItsNamespace": {
			reason: "in the namespace in which it is granted", grant: `{namespaces: [runners], rules: [{apiGroups: [""], resources: [pods], verbs: [get, update]}], ` + hooks + "}",
			objects: webhook("Mutating", "", "pods", ", namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: runners}}"),
		},
		"WebhookEverywhere": {
			reason: "and not in all of them", grant: `{namespaces: [runners], rules: [{apiGroups: [""], resources: [pods], verbs: [get, update]}], ` + hooks + "}",
			objects: webhook("Mutating", "", "pods", ", namespaceSelector: {matchLabels: {team: a}}"), want: []string{"Missing in clusterRules of ModuleGrant runners: - {apiGroups: [\"\"], resources: [pods], verbs: [get, update]}"},
		},
		"PolicyChangesPods": {
			reason: "a policy that changes objects is no less", grant: "{" + hooks + "}",
			objects: "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\nmetadata: {name: m}\nspec: {matchConstraints: {resourceRules: [{apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}}",
			want:    []string{"MutatingAdmissionPolicy/m sees and may change every write"},
		},
		"Endpoints": {
			reason: "they lead to anywhere", grant: `{namespaces: [runners]}`,
			objects: "apiVersion: v1\nkind: Endpoints\nmetadata: {name: e, namespace: runners}",
			want:    []string{"Endpoints/runners/e is of a kind that another controller acts on"},
		},
		"Privileged": {
			reason: "pods need what they need of the node", grant: readPods + "}",
			objects: join(pod(`{hostNetwork: true, containers: [{name: c, image: i, securityContext: {privileged: true}}]}`),
				"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: j, namespace: runners}\nspec: {jobTemplate: {spec: {template: {spec: {initContainers: [{name: c, image: i, securityContext: {privileged: true}}], volumes: [{name: v, hostPath: {path: /}}], containers: []}}}}}"),
			want: []string{"CronJob/runners/j has pods that need more of the node than the level baseline allows", "Pod/runners/p has pods that need more"},
		},
		"Restricted": {
			reason: "the level is the grant's", grant: `{namespaces: [runners], podSecurity: restricted}`, objects: pod(`{containers: [{name: c, image: i}]}`),
			want: []string{"than the level restricted allows"},
		},
		"PrivilegedGranted": {
			reason: "whatever it is", grant: `{namespaces: [runners], podSecurity: privileged}`, objects: pod(`{hostPID: true, containers: [{name: c, image: i}]}`),
		},
		"NamespaceLetsMore": {
			reason: "a namespace that allows more than the grant lets the controller make what the package may not", namespace: "mine",
			objects: "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine, labels: {pod-security.kubernetes.io/enforce: privileged}}",
			want:    []string{"Namespace/mine lets pods be privileged"},
		},
		"NamespaceOfOldRules": {
			reason: "older rules are fewer", namespace: "mine",
			objects: "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine, labels: {pod-security.kubernetes.io/enforce: baseline, pod-security.kubernetes.io/enforce-version: v1.0}}",
			want:    []string{"Namespace/mine holds pods to the rules of an older Kubernetes"},
		},
		"OtherNamespaceObject": {
			reason: "only the module's own namespace comes with it", objects: "apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-public, labels: {}}",
			want: []string{"Namespace/kube-public isn't the module's own namespace"},
		},
		"Understated": {
			reason: "a package that says what it needs is held to it", grant: `{clusterRules: [{apiGroups: [""], resources: [pods, secrets], verbs: [get]}]}`,
			objects:  clusterRole("r", `[{apiGroups: [""], resources: [pods, secrets], verbs: [get]}]`),
			declared: v1alpha1.Permissions{ClusterRules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}},
			want:     []string{`ClusterRole/r allows more than the package says that it needs (permissions in package.yaml), in the whole cluster: - {apiGroups: [""], resources: [secrets], verbs: [get]}`},
		},
		"AsksSecrets": {
			reason: "a gate that asks a Secret tells what is in it, letter by letter", objects: account, checks: asks("v1", "Secret", "s"),
			want: []string{"check spy of the gate asks Secret s: its answer would tell what is in it"},
		},
		"AsksElsewhere": {
			reason: "nor does it ask what is elsewhere", objects: account, checks: []v1alpha1.Check{{Name: "spy", Object: &v1alpha1.ObjectCheck{
				APIVersion: "v1", Kind: "ConfigMap", Name: "c", Namespace: "shop",
			}}},
			want: []string{"check spy of the gate asks ConfigMap c in namespace shop"},
		},
		"AsksItsOwn": {
			reason: "it may ask its own", objects: account, checks: []v1alpha1.Check{{Name: "mine", Object: &v1alpha1.ObjectCheck{APIVersion: "v1", Kind: "ConfigMap", Name: "c"}}},
		},
		"AsksWhatHasNoNamespace": {
			reason: "nor what has no namespace, with the rights that the agent has", objects: account, checks: asks("rbac.authorization.k8s.io/v1", "ClusterRole", "somebodys"),
			want: []string{`check spy of the gate asks ClusterRole somebodys, which has no namespace and isn't the package's. Missing in clusterObjects of a ModuleGrant that spec.grantRef of the Module has to name: - {group: "rbac.authorization.k8s.io", kind: ClusterRole, names: ["somebodys"]}`},
		},
		"AsksOtherModules": {
			reason: "nor other people's Modules", objects: account, checks: asks("slipway.dev/v1alpha1", "Module", "theirs"),
			want: []string{"check spy of the gate asks Module theirs, which has no namespace"},
		},
		"AsksWhatIsServedLater": {
			reason: "a kind that comes after the plan may turn out to have no namespace", objects: account, checks: asks("late.example/v1", "Store", "vault"),
			want: []string{"check spy of the gate asks Store vault"},
		},
		"AsksTheirsOfItsOwnName": {
			reason: "to bring an object of that name doesn't make somebody else's the package's", objects: clusterRole("somebodys", "[]"), grant: readPods + "}",
			theirs: map[kube.Ref]string{{Group: rbacv1.GroupName, Kind: "ClusterRole", Name: "somebodys"}: "somebody"}, checks: asks("rbac.authorization.k8s.io/v1", "ClusterRole", "somebodys"),
			want: []string{"check spy of the gate asks ClusterRole somebodys"},
		},
		"AsksOtherNamespaces": {
			reason: "a Namespace is asked only where the package is in it", objects: account, checks: asks("v1", "Namespace", "shop"), want: []string{"check spy of the gate asks Namespace shop"},
		},
		"AsksItsNamespace": {reason: "it may ask its own", objects: account, checks: asks("v1", "Namespace", "runners")},
		"AsksItsRole": {
			reason: "and what it brings", objects: clusterRole("r", "[]"), grant: readPods + "}", checks: asks("rbac.authorization.k8s.io/v1", "ClusterRole", "r"),
		},
		"AsksItsKind": {
			reason: "and what its own controller makes", objects: strings.Replace(boat, "Namespaced", "Cluster", 1), grant: hooks, checks: asks("sea.example/v1", "Boat", "b"),
		},
		"AsksWhatIsListed": {
			reason: "and what the grant lists", objects: account, grant: "{clusterObjects: [{kind: PersistentVolume, names: [disk]}]}", checks: asks("v1", "PersistentVolume", "disk"),
		},
		"ManyWideRoles": {
			reason: "a package that makes it expensive is refused, not judged", grant: readPods + "}", objects: wideRoles(30), want: []string{"can't be judged: the rule combines too many"},
		},
		"Unserved": {
			reason: "what nobody serves can't be judged", objects: "apiVersion: x.example/v1\nkind: Nothing\nmetadata: {name: n}", want: []string{"is of a kind that the cluster doesn't serve"},
		},
		"Malformed": {
			reason: "what can't be read isn't passed over", grant: readPods + "}", objects: clusterRole("r", `{not: a list}`), want: []string{"ClusterRole/r can't be read"},
		},
		"UnknownRoleField": {
			reason: "nor what only a later API server knows", grant: readPods + "}", objects: clusterRole("r", `[{apiGroups: [""], resources: [pods], verbs: [get], except: [x]}]`), want: []string{"ClusterRole/r can't be read"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			q := permit.Question{
				Module: "runner", Namespace: "runners", Own: !c.foreign, Objects: objects(t, c.objects), Declared: c.declared, Checks: c.checks,
				Served: served, Theirs: c.theirs, Live: live(), Agent: permit.Agent{Namespace: "slipway-system", Accounts: []string{"slipway-agent"}},
			}
			if c.namespace != "" {
				q.Namespace = c.namespace
			}
			if c.grant != "" {
				q.Grant = grant(t, c.grant)
			}
			answer := permit.Check(q)
			var said []string
			for _, f := range answer.Findings {
				said = append(said, f.Object+" "+f.Message)
			}
			all := strings.Join(said, "\n")
			if len(c.want) == 0 && len(said) > 0 {
				t.Errorf("%s: found\n%s\nwant nothing", c.reason, all)
			}
			for _, want := range c.want {
				if !strings.Contains(all, want) {
					t.Errorf("%s: found\n%s\nwant %s", c.reason, all, want)
				}
			}
		})
	}
}

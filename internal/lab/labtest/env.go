package labtest

import (
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Env is a cluster as one test sees it.
type Env struct {
	// Config is the administrator's, without client-side limits. It is the test's own copy.
	Config *rest.Config
	// Namespace was made for the test.
	Namespace string
	// Kubeconfig is the path of a file that leads to the same cluster as Config.
	Kubeconfig string
}

// newEnv gives a test its view of the cluster behind a kubeconfig.
func newEnv(t testing.TB, kubeconfig string) *Env {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatalf("read kubeconfig: %v", err)
	}
	config.QPS = -1
	e := &Env{Config: config, Kubeconfig: kubeconfig}
	e.Namespace = e.NewNamespace(t)
	return e
}

// NewNamespace makes one more namespace and returns its name.
func (e *Env) NewNamespace(t testing.TB) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: namespacePrefix(t.Name())}}
	namespace, err := e.Clientset(t).CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("make a namespace: %v", err)
	}
	return namespace.Name
}

// namespacePrefix makes a label of the test's name, short enough for what the API server appends.
func namespacePrefix(test string) string {
	label := strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			return r
		}
		return '-'
	}, strings.ToLower(test))
	return "t-" + strings.Trim(label[:min(len(label), 40)], "-") + "-"
}

// Clientset returns a typed client for Kubernetes' own kinds.
func (e *Env) Clientset(t testing.TB) *kubernetes.Clientset {
	t.Helper()
	clientset, err := kubernetes.NewForConfig(e.Config)
	if err != nil {
		t.Fatalf("make client: %v", err)
	}
	return clientset
}

// User returns the configuration of somebody else, who may do what RBAC grants to the name and the groups. The administrator
// impersonates them, so requests are authorized as theirs.
func (e *Env) User(name string, groups ...string) *rest.Config {
	config := rest.CopyConfig(e.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: append(groups, "system:authenticated")}
	return config
}

// ServiceAccount returns the configuration of a service account in the test's namespace, as a controller that impersonates it
// would have it. The account need not exist.
func (e *Env) ServiceAccount(name string) *rest.Config {
	return e.User("system:serviceaccount:"+e.Namespace+":"+name, "system:serviceaccounts", "system:serviceaccounts:"+e.Namespace)
}

// WriteKubeconfig writes a copy of the kubeconfig to a folder of the test's, with its namespace as the default one, for commands
// that take --kubeconfig.
func (e *Env) WriteKubeconfig(t testing.TB) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(e.Kubeconfig)
	if err != nil {
		t.Fatalf("read kubeconfig: %v", err)
	}
	config.Contexts[config.CurrentContext].Namespace = e.Namespace
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatalf("write kubeconfig: %v", err)
	}
	return path
}

package cli

import (
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// clusterFlags say which cluster and namespace a verb works on, as kubectl's flags of the same names do.
type clusterFlags struct {
	kubeconfig string
	context    string
	namespace  string
	lab        string
}

func (a *App) addClusterFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&a.cluster.kubeconfig, "kubeconfig", "",
		"kubeconfig file to use (default: the files in $KUBECONFIG, then ~/.kube/config, then the pod's service account)")
	flags.StringVar(&a.cluster.context, "context", "", "context of the kubeconfig to use")
	flags.StringVarP(&a.cluster.namespace, "namespace", "n", "", "namespace to work in (default: the context's)")
	flags.StringVar(&a.cluster.lab, "lab", "", "use the lab of this name, as 'slipway up --name' made it, instead of a kubeconfig")
	root.MarkFlagsMutuallyExclusive("kubeconfig", "lab")
	root.MarkFlagsMutuallyExclusive("context", "lab")
}

// clientConfig follows the usual precedence: --kubeconfig, $KUBECONFIG, ~/.kube/config, in-cluster; and --lab before them all.
func (a *App) clientConfig() (clientcmd.ClientConfig, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.cluster.kubeconfig
	if a.cluster.lab != "" {
		path, err := labKubeconfig(a.cluster.lab)
		if err != nil {
			return nil, err
		}
		rules.ExplicitPath = path
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: a.cluster.context}
	overrides.Context.Namespace = a.cluster.namespace
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides), nil
}

// cluster is an open door to one cluster.
type cluster struct {
	client.WithWatch

	config    *rest.Config
	namespace string // where the verb works unless it was asked for all
}

// connect opens the cluster that the flags name. It sends no request yet.
func (a *App) connect() (*cluster, error) {
	loader, err := a.clientConfig()
	if err != nil {
		return nil, err
	}
	config, err := loader.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) {
			return nil, errNoCluster
		}
		return nil, fmt.Errorf("load kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("load kubeconfig: %w", err)
	}
	return newCluster(config, namespace)
}

func newCluster(config *rest.Config, namespace string) (*cluster, error) {
	// Else controller-runtime prints a stack trace at whoever has waited for half a minute.
	ctrllog.SetLogger(logr.Discard())
	config = rest.CopyConfig(config)
	config.UserAgent = "slipway"
	// A person's command asks for much at once and then ends; the API server's own fairness is what limits it.
	config.QPS, config.Burst = -1, -1
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	return &cluster{WithWatch: c, config: config, namespace: namespace}, nil
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme, notificationv1.AddToScheme,
		v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register types: %w", err)
		}
	}
	return scheme, nil
}

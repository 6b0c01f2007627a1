package cli

import (
	"slices"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func newCreateKustomization(app *App) *cobra.Command {
	var (
		spec                                       kustomizev1.KustomizationSpec
		source, decryption, keys, kubeconfigSecret string
		dependsOn                                  []string
		timeout, retry                             time.Duration
	)
	cmd := &cobra.Command{
		Use:     "kustomization NAME",
		Aliases: []string{"ks"},
		Short:   "Write a Kustomization",
		Long:    "Make a Kustomization from flags, for Git or into the cluster.",
		Example: `  slipway create kustomization shop --source GitRepository/shop --path ./deploy --prune --wait --interval 10m

  # As a file for Git
  slipway create kustomization shop --source OCIRepository/shop.sources --prune --service-account deployer --depends-on base --export`,
	}
	flags := cmd.Flags()
	flags.StringVar(&source, "source", "", "source of the manifests, [KIND/]NAME[.NAMESPACE]; KIND is GitRepository unless it is given")
	flags.StringVar(&spec.Path, "path", "./", "folder of the source")
	flags.BoolVar(&spec.Prune, "prune", false, "delete what is no longer in the source")
	flags.BoolVar(&spec.Wait, "wait", false, "be ready when all that was applied is")
	flags.DurationVar(&timeout, "health-check-timeout", 0, "how long that may take, and an apply (default: the interval)")
	flags.DurationVar(&retry, "retry-interval", 0, "pause after a failure (default: the interval)")
	flags.StringVar(&spec.TargetNamespace, "target-namespace", "", "namespace that everything is put into")
	flags.StringVar(&spec.ServiceAccountName, "service-account", "", "service account that applies it")
	flags.StringSliceVar(&dependsOn, "depends-on", nil, "Kustomizations that must be ready before, [NAMESPACE/]NAME")
	flags.StringVar(&decryption, "decryption-provider", "", "sops to decrypt what is encrypted with it")
	flags.StringVar(&keys, "decryption-secret", "", "name of the Secret with the keys for it")
	flags.StringVar(&kubeconfigSecret, "kubeconfig-secret-ref", "", "name of the Secret with the kubeconfig of another cluster to apply to")
	return app.creating(creation{kind: kustomizationKind(), command: cmd, make: func(f *createFlags) (delivered, error) {
		ref, err := sourceRef(source)
		if err != nil {
			return nil, err
		}
		spec.SourceRef, spec.Interval = ref, metav1.Duration{Duration: f.interval}
		spec.Timeout, spec.RetryInterval = orNone(timeout), orNone(retry)
		spec.DependsOn = nil
		for _, word := range dependsOn {
			namespace, name, ok := strings.Cut(word, "/")
			if !ok {
				namespace, name = "", word
			}
			spec.DependsOn = append(spec.DependsOn, kustomizev1.DependencyReference{Namespace: namespace, Name: name})
		}
		switch {
		case decryption != "":
			spec.Decryption = &kustomizev1.Decryption{Provider: decryption, SecretRef: secretRef(keys)}
		case keys != "":
			return nil, usagef("--decryption-secret needs --decryption-provider: sops")
		}
		if kubeconfigSecret != "" {
			spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: kubeconfigSecret}}
		}
		return &kustomizev1.Kustomization{Spec: spec}, nil
	}})
}

// sourceRef reads [KIND/]NAME[.NAMESPACE].
func sourceRef(text string) (ref kustomizev1.CrossNamespaceSourceReference, err error) {
	if err := required(map[string]string{"source": text}); err != nil {
		return ref, err
	}
	word, name, ok := strings.Cut(text, "/")
	k := gitRepositoryKind()
	if !ok {
		name = word
	} else if k, err = kindNamed(word); err != nil || k.sourceAs == "" {
		return ref, usagef("--source %s: %q is no kind of source; there are GitRepository, OCIRepository, Bucket and ExternalArtifact", text, word)
	}
	ref.Kind = k.name
	ref.Name, ref.Namespace, _ = strings.Cut(name, ".")
	if ref.Name == "" || strings.HasSuffix(name, ".") {
		return ref, usagef("--source %s: want [KIND/]NAME[.NAMESPACE]", text)
	}
	return ref, nil
}

// namedAs is a kind's name as the API has it, whichever way it is written: kinds that we don't know are left as they are.
func namedAs(word string) string {
	all := kinds()
	if at := slices.IndexFunc(all, func(k kind) bool { return strings.EqualFold(k.name, word) }); at >= 0 {
		return all[at].name
	}
	return word
}

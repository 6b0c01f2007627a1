package cli

import (
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	gitsource "github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/bucket"
)

// sourceFlags are those of every kind of source.
type sourceFlags struct {
	secret, proxySecret string
	ignore              []string
	timeout             time.Duration
}

func (s *sourceFlags) add(cmd *cobra.Command, secret string) {
	cmd.Flags().StringVar(&s.secret, "secret-ref", "", "name of the Secret with "+secret)
	cmd.Flags().StringVar(&s.proxySecret, "proxy-secret-ref", "", "name of the Secret with the proxy's address, and username and password if it wants them")
	cmd.Flags().StringSliceVar(&s.ignore, "ignore-paths", nil, "patterns to leave out, in the format of .gitignore")
	cmd.Flags().DurationVar(&s.timeout, "fetch-timeout", 0, "how long a fetch may take (default 60s)")
}

// secretRef names a Secret; nil where there is none.
func secretRef(name string) *meta.LocalObjectReference {
	if name == "" {
		return nil
	}
	return &meta.LocalObjectReference{Name: name}
}

func newCreateGit(app *App) *cobra.Command {
	var (
		spec   sourcev1.GitRepositorySpec
		ref    sourcev1.GitRepositoryRef
		common sourceFlags
	)
	cmd := &cobra.Command{
		Use:   "git NAME",
		Short: "Write a GitRepository",
		Long:  "Make a GitRepository from flags, for Git or into the cluster. Credentials come from a Secret, never from a flag.",
		Example: `  slipway create source git shop --url https://git.example.com/shop --branch main --interval 10m

  # With a deploy key, and as a file for Git
  slipway create source git shop --url ssh://git@git.example.com/shop --tag-semver 1.x --secret-ref deploy-key --export`,
	}
	flags := cmd.Flags()
	flags.StringVar(&spec.URL, "url", "", "address of the repository, https:// or ssh://")
	flags.StringVar(&ref.Branch, "branch", "", "branch to follow")
	flags.StringVar(&ref.Tag, "tag", "", "tag to use")
	flags.StringVar(&ref.SemVer, "tag-semver", "", "range of versions, of which the newest tag is used, such as 1.x")
	flags.StringVar(&ref.Name, "ref-name", "", "reference to follow, such as refs/heads/main")
	flags.StringVar(&ref.Commit, "commit", "", "commit to use")
	flags.StringVar(&spec.Provider, "provider", "", "github for a GitHub App (default generic)")
	flags.BoolVar(&spec.RecurseSubmodules, "recurse-submodules", false, "fetch submodules, too")
	flags.StringSliceVar(&spec.SparseCheckout, "sparse-checkout-paths", nil, "folders to fetch, instead of everything")
	common.add(cmd, "the credentials: username and password, or identity and known_hosts")
	return app.creating(creation{kind: gitRepositoryKind(), command: cmd, make: func(f *createFlags) (delivered, error) {
		refs := map[string]string{"branch": ref.Branch, "tag": ref.Tag, "tag-semver": ref.SemVer, "ref-name": ref.Name, "commit": ref.Commit}
		if ref.Commit != "" {
			delete(refs, "branch") // a commit of a branch is fine
		}
		spec.Reference, spec.Interval = &ref, metav1.Duration{Duration: f.interval}
		spec.SecretRef, spec.ProxySecretRef = secretRef(common.secret), secretRef(common.proxySecret)
		spec.Ignore, spec.Timeout = ignoreRules(common.ignore), orNone(common.timeout)
		return &sourcev1.GitRepository{Spec: spec}, firstOf(
			required(map[string]string{"url": spec.URL}), oneOf("revision", refs), checkRange(ref.SemVer), asUsage(gitsource.Unsupported(spec)))
	}})
}

func newCreateOCI(app *App) *cobra.Command {
	var (
		spec                                     sourcev1.OCIRepositorySpec
		ref                                      sourcev1.OCIRepositoryRef
		common                                   sourceFlags
		certSecret, verifyProvider, verifySecret string
	)
	cmd := &cobra.Command{
		Use:   "oci NAME",
		Short: "Write an OCIRepository",
		Long:  "Make an OCIRepository from flags, for Git or into the cluster. Credentials come from a Secret, never from a flag.",
		Example: `  slipway create source oci shop --url oci://registry.example.com/team/shop --tag latest

  # Only what is signed
  slipway create source oci shop --url oci://registry.example.com/team/shop --tag-semver '>=1.0.0' \
    --secret-ref registry --verify-provider cosign --verify-secret-ref cosign-keys`,
	}
	flags := cmd.Flags()
	flags.StringVar(&spec.URL, "url", "", "address of the artifact without a tag, oci://HOST/PATH")
	flags.StringVar(&ref.Tag, "tag", "", "tag to follow")
	flags.StringVar(&ref.SemVer, "tag-semver", "", "range of versions, of which the newest tag is used, such as 1.x")
	flags.StringVar(&ref.Digest, "digest", "", "digest to use, sha256:…")
	flags.StringVar(&spec.ServiceAccountName, "service-account", "", "service account whose image pull secrets are the login")
	flags.StringVar(&certSecret, "cert-ref", "", "name of the Secret with certificates for TLS")
	flags.BoolVar(&spec.Insecure, "insecure", false, "allow a registry without TLS")
	flags.StringVar(&verifyProvider, "verify-provider", "", "who has signed: cosign or notation")
	flags.StringVar(&verifySecret, "verify-secret-ref", "", "name of the Secret with what signatures are checked by")
	common.add(cmd, "the login (type kubernetes.io/dockerconfigjson)")
	return app.creating(creation{kind: ociRepositoryKind(), command: cmd, make: func(f *createFlags) (delivered, error) {
		spec.Reference, spec.Interval = &ref, metav1.Duration{Duration: f.interval}
		spec.SecretRef, spec.ProxySecretRef, spec.CertSecretRef = secretRef(common.secret), secretRef(common.proxySecret), secretRef(certSecret)
		spec.Ignore, spec.Timeout = ignoreRules(common.ignore), orNone(common.timeout)
		if verifyProvider != "" {
			spec.Verify = &sourcev1.OCIRepositoryVerification{Provider: verifyProvider, SecretRef: secretRef(verifySecret)}
		} else if verifySecret != "" {
			return nil, usagef("--verify-secret-ref needs --verify-provider: cosign or notation")
		}
		return &sourcev1.OCIRepository{Spec: spec}, firstOf(
			required(map[string]string{"url": spec.URL}),
			oneOf("artifact", map[string]string{"tag": ref.Tag, "tag-semver": ref.SemVer, "digest": ref.Digest}), checkRange(ref.SemVer))
	}})
}

func newCreateBucket(app *App) *cobra.Command {
	var (
		spec       sourcev1.BucketSpec
		common     sourceFlags
		certSecret string
	)
	cmd := &cobra.Command{
		Use:   "bucket NAME",
		Short: "Write a Bucket",
		Long:  "Make a Bucket from flags, for Git or into the cluster. Credentials come from a Secret, never from a flag.",
		Example: `  slipway create source bucket shop --endpoint s3.example.com:9000 --bucket-name manifests --prefix shop/ --secret-ref shop-bucket

  # Amazon's
  slipway create source bucket shop --provider aws --endpoint s3.amazonaws.com --region eu-central-1 --bucket-name manifests --secret-ref keys`,
	}
	flags := cmd.Flags()
	flags.StringVar(&spec.Endpoint, "endpoint", "", "HOST or HOST:PORT of the server")
	flags.StringVar(&spec.BucketName, "bucket-name", "", "name of the bucket on the server")
	flags.StringVar(&spec.Prefix, "prefix", "", "only objects whose keys begin with it")
	flags.StringVar(&spec.Region, "region", "", "region of the bucket (default: the server is asked)")
	flags.StringVar(&spec.Provider, "provider", sourcev1.BucketProviderGeneric, "generic or aws")
	flags.StringVar(&certSecret, "cert-ref", "", "name of the Secret with certificates for TLS")
	flags.BoolVar(&spec.Insecure, "insecure", false, "allow a server without TLS")
	common.add(cmd, "accesskey and secretkey")
	return app.creating(creation{kind: bucketKind(), command: cmd, make: func(f *createFlags) (delivered, error) {
		spec.Interval = metav1.Duration{Duration: f.interval}
		spec.SecretRef, spec.ProxySecretRef, spec.CertSecretRef = secretRef(common.secret), secretRef(common.proxySecret), secretRef(certSecret)
		spec.Ignore, spec.Timeout = ignoreRules(common.ignore), orNone(common.timeout)
		return &sourcev1.Bucket{Spec: spec}, firstOf(
			required(map[string]string{"endpoint": spec.Endpoint, "bucket-name": spec.BucketName}), asUsage(bucket.Check(spec)))
	}})
}

// checkRange finds a range of versions that can't be read.
func checkRange(text string) error {
	if text == "" {
		return nil
	}
	if _, err := semver.NewConstraint(text); err != nil {
		return usagef("--tag-semver %q is no range of versions: %w", text, err)
	}
	return nil
}

// asUsage makes what the agent would say of a spec an error of who calls.
func asUsage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// firstOf is the first error.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

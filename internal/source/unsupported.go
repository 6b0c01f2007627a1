package source

import (
	"slices"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// Unsupported returns an *Error naming the first field of spec that this
// version can't honour or that lacks another one, or nil. Such a field is refused rather than ignored:
// an unverified or incomplete tree must not look like the one that was asked for.
func Unsupported(spec sourcev1.GitRepositorySpec) error {
	refused := []struct {
		field, advice string
		set           bool
	}{
		// Each cloud's SDK would be larger than the agent.
		{"spec.provider: " + spec.Provider, "sign in to the cloud is not built in: use spec.secretRef with username and password, a token or an ssh key (provider: generic)", !slices.Contains([]string{"", sourcev1.GitProviderGeneric, sourcev1.GitProviderGitHub}, spec.Provider)},
		{"spec.serviceAccountName", "it only serves cloud providers: use spec.secretRef", spec.ServiceAccountName != ""},
	}
	for _, r := range refused {
		if r.set {
			return failf(ReasonUnsupportedField, "%s is not supported: %s", r.field, r.advice)
		}
	}
	if spec.Provider == sourcev1.GitProviderGitHub && spec.SecretRef == nil {
		return failf(ReasonProviderInvalid, "spec.provider: github needs spec.secretRef: name a Secret with githubAppID, githubAppPrivateKey and githubAppInstallationID or githubAppInstallationOwner")
	}
	return nil
}

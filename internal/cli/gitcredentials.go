package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/history"
)

// The environment variables with which a person logs in to a Git server over HTTPS, and to which one.
const (
	envGitHost     = "SLIPWAY_GIT_HOST"
	envGitUsername = "SLIPWAY_GIT_USERNAME"
	envGitPassword = "SLIPWAY_GIT_PASSWORD"
)

// upstream is where a history is fetched from. Others have written it: whoever may create sources, or push images.
type upstream struct {
	address string
	// secret is the source's own.
	secret client.ObjectKey
	// claimed: an image says so of itself, and nobody who may create a source does.
	claimed bool
}

// mirror fetches a history: as the person first, and with the source's Secret where that isn't enough and the person may read it.
func (a *App) mirror(ctx context.Context, c *cluster, cache, commit string, from upstream) (*history.Repository, error) {
	address, secret := from.address, from.secret
	own, err := a.ownCredentials(from)
	if err != nil {
		return nil, err
	}
	repo, err := history.Mirror(ctx, cache, address, commit, own)
	if err == nil || secret.Name == "" || !refused(err) {
		return repo, withoutSecrets(err, address)
	}
	a.waitf("the server doesn't accept your own credentials; reading Secret %s as you", secret)
	var data corev1.Secret
	if secretErr := c.Get(ctx, secret, &data); secretErr != nil {
		return nil, fmt.Errorf("%w; and the source's Secret can't be read: %w", withoutSecrets(err, address), secretErr)
	}
	theirs, clean, err := secretCredentials(address, data.Data)
	if err != nil {
		return nil, err
	}
	defer clean()
	repo, err = history.Mirror(ctx, cache, address, commit, theirs)
	return repo, withoutSecrets(err, address)
}

// refused reports whether other credentials may help.
func refused(err error) bool {
	return errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed) ||
		errors.Is(err, transport.ErrRepositoryNotFound) || strings.Contains(err.Error(), "ssh:") || strings.Contains(err.Error(), "SSH_AUTH_SOCK") ||
		strings.Contains(err.Error(), "x509:")
}

// withoutSecrets takes the password of a URL out of what a library says of it.
func withoutSecrets(err error, address string) error {
	if err == nil {
		return nil
	}
	u, parseErr := url.Parse(address)
	if parseErr != nil || u.User == nil {
		return err
	}
	password, _ := u.User.Password()
	text := strings.ReplaceAll(err.Error(), u.User.String()+"@", "")
	if password != "" {
		text = strings.ReplaceAll(text, password, hiddenValue)
	}
	return errors.New(text)
}

// ownCredentials are those of the person for the very host: of the environment or ~/.netrc over HTTPS. Over ssh it is the agent's keys and
// the person's known_hosts, which is what nothing means there.
func (a *App) ownCredentials(from upstream) (history.Credentials, error) {
	endpoint, err := transport.NewEndpoint(from.address)
	if err != nil {
		return history.Credentials{}, errors.New("the repository's address is no URL")
	}
	at, err := url.Parse(from.address)
	if err != nil || endpoint.Protocol != "https" || endpoint.User != "" || from.claimed {
		return history.Credentials{}, nil //nolint:nilerr // what isn't a URL is fetched with ssh
	}
	password, host := os.Getenv(envGitPassword), os.Getenv(envGitHost)
	switch {
	case password == "":
	case host == "":
		a.waitf("$%s isn't used: set $%s to the host that it is for", envGitPassword, envGitHost)
	case strings.EqualFold(host, at.Host):
		return history.Credentials{Auth: &githttp.BasicAuth{Username: cmp.Or(os.Getenv(envGitUsername), "git"), Password: password}}, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return history.Credentials{}, nil //nolint:nilerr // without a home there is no .netrc
	}
	file, err := os.Open(filepath.Join(home, ".netrc"))
	if err != nil {
		return history.Credentials{}, nil //nolint:nilerr // most people have none
	}
	defer file.Close()
	if login, password, ok := fromNetrc(bufio.NewScanner(file), at.Hostname()); ok {
		return history.Credentials{Auth: &githttp.BasicAuth{Username: login, Password: password}}, nil
	}
	return history.Credentials{}, nil
}

// fromNetrc finds a machine in the words of a .netrc. Its default is for hosts that the person names, which nobody did here.
func fromNetrc(words *bufio.Scanner, host string) (login, password string, found bool) {
	words.Split(bufio.ScanWords)
	ours := false
	for words.Scan() {
		switch words.Text() {
		case "machine":
			if found && password != "" {
				return login, password, true
			}
			ours = words.Scan() && words.Text() == host
			found = found || ours
		case "default":
			if found {
				return login, password, password != ""
			}
			ours = false
		case "login":
			if words.Scan() && ours {
				login = words.Text()
			}
		case "password":
			if words.Scan() && ours {
				password = words.Text()
			}
		}
	}
	return login, password, found && password != ""
}

// secretCredentials reads a source's Secret. clean removes what had to be written for it.
func secretCredentials(address string, data map[string][]byte) (with history.Credentials, clean func(), err error) {
	clean = func() {}
	endpoint, err := transport.NewEndpoint(address)
	if err != nil {
		return with, clean, errors.New("the repository's address is no URL")
	}
	if endpoint.Protocol != "ssh" {
		with.CABundle = data["ca.crt"]
		switch {
		case len(data["bearerToken"]) > 0:
			with.Auth = &githttp.TokenAuth{Token: string(data["bearerToken"])}
		case len(data["password"]) > 0:
			with.Auth = &githttp.BasicAuth{Username: string(data["username"]), Password: string(data["password"])}
		}
		return with, clean, nil
	}
	keys, err := gitssh.NewPublicKeys(cmp.Or(endpoint.User, "git"), data["identity"], string(data["password"]))
	if err != nil {
		return with, clean, errors.New("the private key in the source's Secret can't be read")
	}
	known, err := os.CreateTemp("", "slipway-known-hosts-")
	if err != nil {
		return with, clean, fmt.Errorf("write known hosts: %w", err)
	}
	clean = func() { _ = os.Remove(known.Name()) } // public keys; the system removes what is left
	_, err = known.Write(data["known_hosts"])
	if err = errors.Join(err, known.Close()); err != nil {
		return with, clean, fmt.Errorf("write known hosts: %w", err)
	}
	if keys.HostKeyCallback, err = gitssh.NewKnownHostsCallback(known.Name()); err != nil {
		return with, clean, errors.New("known_hosts in the source's Secret can't be read")
	}
	with.Auth = keys
	return with, clean, nil
}

package source

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// githubApp is an app of GitHub, which gets tokens that are good for an hour instead of having a password.
type githubApp struct {
	id           string
	owner        string // of the installation; empty: installation is set
	installation string
	key          *rsa.PrivateKey
	base         string // of the API, without a slash at its end
}

// githubAPI is where the API of github.com is.
const githubAPI = "https://api.github.com"

// tokenUser is the user name under which Git servers of GitHub take tokens of apps.
const tokenUser = "x-access-token"

// AuthFromGitHubApp reads a Secret's data for spec.provider: github.
//
//	githubAppID, githubAppPrivateKey                       the app
//	githubAppInstallationID or githubAppInstallationOwner  where it is installed
//	githubAppBaseURL                                       of the API, default https://api.github.com
//	ca.crt, tls.crt + tls.key                              as with AuthFromSecret, for the API as well
//
// Errors are *[Error] and tell which key is wrong, never what it holds.
func AuthFromGitHubApp(data map[string][]byte, repositoryURL string) (Auth, error) {
	rem, err := parseURL(repositoryURL, true)
	if err != nil {
		return Auth{}, err
	}
	if rem.scheme != "https" && rem.scheme != "http" {
		return Auth{}, failf(ReasonProviderInvalid, "spec.provider: github works with https only: write spec.url as https://HOST/OWNER/REPOSITORY, or remove the provider")
	}
	app, err := readGitHubApp(data)
	if err != nil {
		return Auth{}, failf(ReasonProviderInvalid, "the Secret that spec.secretRef names can't be used for spec.provider: github: %w", err)
	}
	a := Auth{app: app}
	if _, err := a.readTLS(data); err != nil {
		return Auth{}, failf(ReasonAuthenticationFailed, "the Secret that spec.secretRef names can't be used for %s: %w", rem, err)
	}
	a.id = hashSecret(data, "githubAppID", "githubAppInstallationID", "githubAppInstallationOwner", "githubAppPrivateKey", "githubAppBaseURL", "ca.crt", "caFile", "tls.crt", "tls.key")
	a.tlsID = hashSecret(data, "ca.crt", "caFile", "tls.crt", "tls.key")
	return a, nil
}

func readGitHubApp(data map[string][]byte) (*githubApp, error) {
	text := func(key string) string { return strings.TrimSpace(string(data[key])) }
	app := &githubApp{id: text("githubAppID"), owner: text("githubAppInstallationOwner"), installation: text("githubAppInstallationID"), base: githubAPI}
	switch {
	case app.id == "":
		return nil, errors.New("githubAppID is missing: it is on the app's page")
	case !isNumber(app.id):
		return nil, errors.New("githubAppID is not a number")
	case (app.owner == "") == (app.installation == ""):
		return nil, errors.New("set one of githubAppInstallationID and githubAppInstallationOwner")
	case app.installation != "" && !isNumber(app.installation):
		return nil, errors.New("githubAppInstallationID is not a number")
	}
	if raw := text("githubAppBaseURL"); raw != "" {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, errors.New("githubAppBaseURL is no URL of an API: write https://HOST/api/v3")
		}
		app.base = strings.TrimRight(u.String(), "/")
	}
	var err error
	app.key, err = readRSAKey(data["githubAppPrivateKey"])
	return app, err
}

func isNumber(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

var errRSAKey = errors.New("githubAppPrivateKey is no RSA private key in PEM form: store the .pem file that GitHub made")

// readRSAKey hides the parser's words: they may quote the input.
func readRSAKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errRSAKey
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := any.(*rsa.PrivateKey); err == nil && ok {
		return key, nil
	}
	return nil, errRSAKey
}

// jwt is what the app shows the API (RFC 7519, RS256). GitHub wants it to end within ten minutes; a minute is for clocks that differ.
func (a *githubApp) jwt(now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(), "iss": a.id})
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", errRSAKey
	}
	return text + "." + encode(signature), nil
}

// appTokens keeps the tokens of apps for as long as they are good.
type appTokens struct {
	now   func() time.Time
	turns *turns

	mu    sync.Mutex
	byApp map[string]appToken
}

type appToken struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
}

const (
	// tokenReserve is how long a token must still be good for to be used: longer than a fetch takes.
	tokenReserve = 10 * time.Minute
	maxAppTokens = 1000
)

// get returns a token for an app, a new one if there is none that lasts.
func (t *appTokens) get(ctx context.Context, key string, create func() (appToken, error)) (string, error) {
	end, err := t.turns.take(ctx, "token "+key)
	if err != nil {
		return "", err
	}
	defer end()
	t.mu.Lock()
	known, ok := t.byApp[key]
	t.mu.Unlock()
	if ok && known.Expires.Sub(t.now()) >= tokenReserve {
		return known.Token, nil
	}
	made, err := create()
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.byApp) >= maxAppTokens {
		clear(t.byApp)
	}
	t.byApp[key] = made
	return made.Token, nil
}

func (t *appTokens) drop(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byApp, key)
}

// logIn turns an app into a token. The identity of the credentials stays that of the app, as tokens come and go.
func (f *fetch) logIn(ctx context.Context) error {
	if f.auth.app == nil {
		return nil
	}
	token, err := f.tokens.get(ctx, f.tokenKey(), func() (appToken, error) { return f.newToken(ctx) })
	if err == nil {
		f.auth.username, f.auth.password = tokenUser, token
	}
	return err
}

// tokenKey keeps proxies apart: each may lead to another API.
func (f *fetch) tokenKey() string { return f.auth.id + "\x00" + f.proxy.id }

// newToken asks the API; see "Generating an installation access token for a GitHub App" in GitHub's documentation.
func (f *fetch) newToken(ctx context.Context) (appToken, error) {
	app, now := f.auth.app, f.tokens.now()
	jwt, err := app.jwt(now)
	if err != nil {
		return appToken{}, err
	}
	installation := app.installation
	if installation == "" {
		if installation, err = f.installation(ctx, jwt); err != nil {
			return appToken{}, err
		}
	}
	var token appToken
	if err := f.callAPI(ctx, http.MethodPost, "/app/installations/"+installation+"/access_tokens", jwt, &token); err != nil {
		return appToken{}, err
	}
	if token.Token == "" || strings.ContainsAny(token.Token, "\r\n") || !token.Expires.After(now) {
		return appToken{}, failf(ReasonAuthenticationFailed, "%s answered without a token that is good: check githubAppBaseURL, and the clock of the agent's node", app.base)
	}
	return token, nil
}

// installation looks up where an owner has installed the app. Organizations and users have different paths.
func (f *fetch) installation(ctx context.Context, jwt string) (string, error) {
	var found struct {
		ID int64 `json:"id"`
	}
	owner := url.PathEscape(f.auth.app.owner)
	err := f.callAPI(ctx, http.MethodGet, "/orgs/"+owner+"/installation", jwt, &found)
	if errors.Is(err, errNoInstallation) {
		err = f.callAPI(ctx, http.MethodGet, "/users/"+owner+"/installation", jwt, &found)
	}
	if err == nil && found.ID == 0 {
		err = failf(ReasonAuthenticationFailed, "%s: %w", f.auth.app.base, errNoInstallation)
	}
	return strconv.FormatInt(found.ID, 10), err
}

var errNoInstallation = errors.New("the app isn't installed there: check githubAppInstallationID or githubAppInstallationOwner, and install the app for the account that owns the repository")

const maxAPIBytes = 1 << 20

func (f *fetch) callAPI(ctx context.Context, method, path, jwt string, into any) error {
	base := f.auth.app.base
	req, err := http.NewRequestWithContext(ctx, method, base+path, nil)
	if err != nil {
		return failf(ReasonProviderInvalid, "githubAppBaseURL can't be used")
	}
	req.Header.Set("Authorization", "Bearer "+jwt)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	// Nobody else is to see the token: redirects are answers.
	client := &http.Client{Transport: f.transports.get(f.auth, f.proxy), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil || f.proxy.refused(err) {
			return err
		}
		return failf(ReasonAuthenticationFailed, "ask %s for a token: %w; check that it is well, and githubAppBaseURL", base, quote(err, append(f.proxy.secrets(), jwt)))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAPIBytes))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", base, err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated:
		if err := json.Unmarshal(body, into); err != nil {
			return failf(ReasonAuthenticationFailed, "the answer of %s can't be read: check githubAppBaseURL", base)
		}
		return nil
	case http.StatusUnauthorized:
		return failf(ReasonAuthenticationFailed, "%s refused the app: check that githubAppPrivateKey is a key of the app that githubAppID names, and the clock of the agent's node", base)
	case http.StatusNotFound:
		return failf(ReasonAuthenticationFailed, "%s: %w", base, errNoInstallation)
	case http.StatusProxyAuthRequired:
		return errProxyRefused
	}
	return failf(ReasonAuthenticationFailed, "%s gave no token (%s): see whether the installation is suspended or has used up its requests", base, printable(resp.Status))
}

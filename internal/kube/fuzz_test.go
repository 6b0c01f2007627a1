package kube_test

import (
	"strings"
	"testing"

	"github.com/slipway-dev/slipway/internal/kube"
)

// FuzzRemoteConfig reads any kubeconfig: what it accepts runs no program, reads no file and verifies the server, and no error quotes it.
func FuzzRemoteConfig(f *testing.F) {
	const planted = "correct-horse-battery"
	head := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: a, user: u}}]\n"
	for _, seed := range []string{
		head + "clusters: [{name: a, cluster: {server: 'https://a:6443'}}]\nusers: [{name: u, user: {token: " + planted + "}}]\n",
		head + "clusters: [{name: a, cluster: {server: 'https://a', insecure-skip-tls-verify: true}}]\n",
		head + "clusters: [{name: a, cluster: {server: 'https://a', certificate-authority: /etc/ca, proxy-url: 'http://" + planted + "@p'}}]\n",
		head + "clusters: [{name: a, cluster: {server: 'https://a'}}]\nusers: [{name: u, user: {exec: {command: sh, apiVersion: client.authentication.k8s.io/v1}}}]\n",
		head + "clusters: [{name: a, cluster: {server: 'https://a'}}]\nusers: [{name: u, user: {tokenFile: /etc/passwd, username: x, password: " + planted + "}}]\n",
		head + "clusters: [{name: a, cluster: {server: 'https://a', certificate-authority-data: " + planted + "}}]\n",
		"{", "", "kind: Config", "current-context: " + planted,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		cfg, err := kube.RemoteConfig(content)
		if err != nil {
			if text := err.Error(); strings.Contains(text, planted) && !strings.Contains(text, "its context") {
				t.Errorf("a credential shows in %q", text)
			}
			return
		}
		if cfg.ExecProvider != nil || cfg.AuthProvider != nil || cfg.BearerTokenFile != "" || cfg.CertFile != "" || cfg.KeyFile != "" || cfg.CAFile != "" {
			t.Errorf("it would run a program or read a file: %s", content)
		}
		if cfg.Insecure {
			t.Errorf("it would trust any server: %s", content)
		}
	})
}

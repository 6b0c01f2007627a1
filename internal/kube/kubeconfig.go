package kube

import (
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// RemoteConfig reads a kubeconfig that was written by somebody who may create Secrets, and no more than that. What would run a program,
// read a file of the agent's or give up verifying the server is refused. Errors say nothing of the content, which holds credentials.
func RemoteConfig(kubeconfig []byte) (*rest.Config, error) {
	raw, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, errors.New("is not a kubeconfig; it must be YAML of kind Config")
	}
	current, ok := raw.Contexts[raw.CurrentContext]
	if !ok {
		return nil, errors.New("has no current-context, or names one that it does not have")
	}
	cluster, user := raw.Clusters[current.Cluster], raw.AuthInfos[current.AuthInfo]
	if cluster == nil || cluster.Server == "" {
		return nil, fmt.Errorf("its context %q names no cluster with a server", raw.CurrentContext)
	}
	if user == nil {
		user = &api.AuthInfo{}
	}
	for _, refused := range []struct {
		is        bool
		what, how string
	}{
		{user.Exec != nil, "users[].user.exec", "the agent runs no programs: use a token or a client certificate"},
		{user.AuthProvider != nil, "users[].user.auth-provider", "the agent has no such plugins: use a token or a client certificate"},
		{user.TokenFile != "", "users[].user.tokenFile", "the agent reads none of its files for others: use token"},
		{user.ClientCertificate != "", "users[].user.client-certificate", "the agent reads none of its files for others: use client-certificate-data"},
		{user.ClientKey != "", "users[].user.client-key", "the agent reads none of its files for others: use client-key-data"},
		{cluster.CertificateAuthority != "", "clusters[].cluster.certificate-authority", "the agent reads none of its files for others: use certificate-authority-data"},
		{cluster.InsecureSkipTLSVerify, "clusters[].cluster.insecure-skip-tls-verify", "credentials are sent to verified servers only: use certificate-authority-data"},
	} {
		if refused.is {
			return nil, fmt.Errorf("uses %s; %s", refused.what, refused.how)
		}
	}
	cfg, err := clientcmd.NewDefaultClientConfig(*raw, nil).ClientConfig()
	if err != nil {
		return nil, errors.New("can't be used: its server, certificates or credentials are malformed or contradict each other")
	}
	return cfg, nil
}

package delivery_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// hostile is an API server that somebody has written who may create Secrets. It says that it is there and serves ConfigMaps; everything
// else is up to the answer.
func hostile(t *testing.T, answer http.HandlerFunc) (kubeconfig []byte) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		says := map[string]string{
			"/version": `{"major":"1","minor":"36"}`,
			"/api":     `{"kind":"APIVersions","versions":["v1"]}`,
			"/apis":    `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
			"/api/v1":  `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"configmaps","namespaced":true,"kind":"ConfigMap","verbs":["get","list","watch","patch"]}]}`,
		}[req.URL.Path]
		if says == "" {
			answer(w, req)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, says)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	content, err := clientcmd.Write(clientcmdapi.Config{
		CurrentContext: "c",
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "u"}},
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: server.URL, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// silent refuses lists and watches and leaves open whatever else is asked.
func silent(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "s") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
		return
	}
	<-req.Context().Done()
}

// TestARemoteClusterThatHangsHoldsUpNobodyElse has more Kustomizations go to clusters that accept requests and never answer them than there are
// workers.
func TestARemoteClusterThatHangsHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"hung/a.yaml": configMapFile("a", "1"), "good/b.yaml": configMapFile("b", "1")})
	w.source()
	var all []*kustomizev1.Kustomization
	for s := range 3 {
		name := fmt.Sprintf("hostile-%d", s)
		w.kubeconfigSecret(name, hostile(t, silent))
		for i := range 6 {
			all = append(all, w.kustomization(fmt.Sprintf("hung-%d-%d", s, i), in("hung"), onRemote(name)))
		}
	}
	w.poll("one of them is being worked on", func() bool {
		for _, k := range all {
			if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(k), k); err != nil {
				t.Fatal(err)
			}
			if len(k.Finalizers) > 0 {
				return true
			}
		}
		return false
	}, "none")
	began := time.Now()
	w.applied(w.kustomization("good", in("good")), revision)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s: it had to wait for somebody else's cluster", took)
	}
}

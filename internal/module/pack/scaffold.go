package pack

import "strings"

// Scaffold are the files of a new package, by their paths. It can be installed as it is.
func Scaffold(name string) map[string]string {
	return map[string]string{
		ManifestFile:                strings.ReplaceAll(scaffoldManifest, "NAME", name),
		manifestsDir + "/main.yaml": strings.ReplaceAll(scaffoldObjects, "NAME", name),
	}
}

const scaffoldManifest = `# What this package is, and what it needs. All fields: docs/package.md
apiVersion: slipway.dev/v1alpha1
kind: Package
name: NAME
version: 0.1.0
description: Says in a sentence what this is for.

# Versions of Kubernetes that it works with.
kubeVersion: ">=1.30"

# The settings, their defaults, and what may be written. ${...} in manifests/ is replaced by them.
substitute: true
values:
  greeting: hello
schema:
  type: object
  additionalProperties: false
  properties:
    greeting: {type: string, maxLength: 100}

# Upgrades to this version can be taken back. Remove this if they can't: then each waits for a person.
rollback: {}
`

const scaffoldObjects = `# Objects without a namespace get that of the Module.
apiVersion: v1
kind: ConfigMap
metadata:
  name: NAME
data:
  greeting: "${greeting}"
`

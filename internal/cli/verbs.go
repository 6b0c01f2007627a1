package cli

// verbs lists every command, in the order in which they were thought of; cobra sorts them for the help.
func verbs() []Verb {
	return []Verb{
		newAgent,
		newVersion,
		newGet,
		newTrace,
		newWhy,
		newTree,
		newDiff,
		newReconcile,
		newSuspend,
		newResume,
		newEvents,
		newExport,
		newCreate,
		newLogs,
		newModule,
		newInstall,
		newUninstall,
		newCheck,
		newImage,
		newPush,
		newPull,
		newPackage,
		newKubeconfig,
		newStatus,
		newDown,
		newUp,
	}
}

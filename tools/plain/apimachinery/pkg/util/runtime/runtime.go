// Package runtime stands in for that of k8s.io/apimachinery/pkg/util in the page's
// program: a panic is not logged there but told to the person.
package runtime

import (
	"context"

	"k8s.io/klog/v2"
)

func HandleCrash(...func(any))                                              {}
func HandleCrashWithContext(context.Context, ...func(context.Context, any)) {}
func HandleCrashWithLogger(klog.Logger, ...func(context.Context, any))      {}
func HandleError(error)                                                     {}
func HandleErrorWithContext(context.Context, error, string, ...any)         {}
func HandleErrorWithLogger(klog.Logger, error, string, ...any)              {}

// Must panics when something that can't fail did.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

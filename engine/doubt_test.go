package engine_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/joinery-lab/joinery/engine/sim"
)

// Whatever tests of this package recall instead of decoding it is decoded all the
// same and compared; but for measurements.
func init() {
	if os.Getenv("JOINERY_BENCH") != "" {
		return
	}
	sim.Doubt = func(data []byte, v any) {
		fresh := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		if err := json.Unmarshal(data, fresh); err != nil {
			panic(fmt.Sprintf("%T was recalled, but can't be decoded: %v", v, err))
		}
		if !equality.Semantic.DeepEqual(v, fresh) {
			panic(fmt.Sprintf("what is recalled is not what the bytes say: %s\n%#v\n%#v", data, v, fresh))
		}
	}
}

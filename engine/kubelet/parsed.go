package kubelet

import (
	"bytes"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubeconfig"
)

// parsed remembers what files say: a thousand nodes have the same. Reading is a
// pure function, so what is remembered changes nothing but the cost.
type parsed[V any] struct {
	read func(text []byte) (V, error)
	mu   sync.Mutex
	seen map[string]V
}

// mostParsed is how many files are remembered.
const mostParsed = 256

// of is what a file's text says. Errors are not remembered. The caller must not
// change what it gets.
func (p *parsed[V]) of(text []byte) (V, error) {
	p.mu.Lock()
	v, ok := p.seen[string(text)]
	p.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := p.read(text)
	if err != nil {
		return v, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil || len(p.seen) >= mostParsed {
		p.seen = map[string]V{}
	}
	p.seen[string(text)] = v
	return v, nil
}

var kubeconfigs = parsed[*kubeconfig.Config]{read: kubeconfig.Parse}

// configured is a KubeletConfiguration with its defaults, and what strict decoding
// says of it.
type configured struct {
	*KubeletConfiguration
	strict string
}

// configurations are known by a release, a line feed and a file's text.
var configurations = parsed[configured]{read: func(key []byte) (cfg configured, err error) {
	release, text, _ := bytes.Cut(key, []byte("\n"))
	cfg.KubeletConfiguration = new(KubeletConfiguration)
	if err = yaml.Unmarshal(text, cfg.KubeletConfiguration); err == nil {
		cfg.strict = strictly(text)
		cfg.complete(era.Must(string(release)))
		cfg.evict()
	}
	return cfg, err
}}

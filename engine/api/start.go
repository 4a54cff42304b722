package api

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// start reads the files that the flags name, creates what is missing in the
// store and listens. A file that can't be used ends the process, as
// kube-apiserver ends: with status 1 and the reason in the log.
func (s *Server) start(c *sim.Ctx) {
	s.Watches, s.index, s.CA, s.CASeen, s.caEntry, s.Outgoing = nil, nil, nil, nil, nil, nil
	s.Told, s.Began = s.store.Version, c.Clock()
	for _, line := range s.opts.told {
		c.LogLine('I', 0, line)
	}
	if err := s.checkGates(c); err != nil {
		s.die(c, err)
		return
	}
	if s.opts.external == "" {
		s.log(c, 'I', 0, "options.go:263", "external host was not specified, using "+s.address(c))
	}
	err := s.complete(c)
	if err == nil {
		s.log(c, 'I', 0, "server.go:150", "Version: "+era.GitVersion.In(s.era))
		s.log(c, 'I', 0, "server.go:152", sim.KV("Golang settings", "GOGC", "", "GOMAXPROCS", "", "GOTRACEBACK", ""))
		err = s.load(c)
	}
	if err != nil {
		s.die(c, err)
		return
	}
	s.bootstrap(c)
	s.log(c, 'I', 0, "secure_serving.go:211", "Serving securely on "+net.JoinHostPort(strings.Replace(s.opts.bind, "0.0.0.0", "::", 1), strconv.Itoa(s.opts.port)))
}

// die ends the process as that of its release ends which can't run.
func (s *Server) die(c *sim.Ctx, err error) {
	end := era.RunFailed(s.era, "kube-apiserver")
	if at := (*storageError)(nil); errors.As(err, &at) {
		end = at.Ending
	}
	for _, l := range end.Lines {
		c.Say(l.Level, l.Source, l.Message, l.Key, l.Text(err.Error()))
	}
	c.Exit(end.Status)
}

// checkGates looks at --feature-gates before anything else (Models
// component-base/compatibility registry.go Set). None of them changes anything
// here.
func (s *Server) checkGates(c *sim.Ctx) error {
	over, err := s.era.ReadGates(s.opts.gates)
	for _, line := range over {
		s.log(c, line.Level, line.V, line.Source, line.Text)
	}
	return err
}

// address is what the server tells others to reach it at.
func (s *Server) address(c *sim.Ctx) string {
	if s.opts.advertise != "" {
		return s.opts.advertise
	}
	return c.IP
}

// complete finishes and checks what the flags say (Models
// pkg/controlplane/apiserver/options Complete, then Validate).
func (s *Server) complete(c *sim.Ctx) error {
	o := s.opts
	if slices.Contains(o.modes, "AlwaysAllow") && o.anonymous {
		w := era.APIRefusals.In(s.era)
		s.log(c, 'W', 0, w.AnonymousAt, w.Anonymous)
	}
	if m := o.maxExpiration; m != 0 && (m < time.Hour || m > 1<<32*time.Second) {
		return fmt.Errorf("the service-account-max-token-expiration must be between 1 hour and 2^32 seconds")
	}
	s.TokenSigner = nil
	if len(o.issuers) > 0 && o.issuers[0] != "" && o.signingKey != "" {
		key, err := c.Disk.ReadFile(o.signingKey)
		if err == nil {
			if _, err = pki.ParseKey(key); err != nil {
				err = fmt.Errorf("error reading private key file %s: %w", o.signingKey, err)
			}
		}
		if err != nil {
			return fmt.Errorf("failed to parse service-account-issuer-key-file: %w", err)
		}
		s.TokenSigner = key
	}
	return utilerrors.NewAggregate(o.validate(s.era))
}

// load reads the files that the flags name, and listens.
func (s *Server) load(c *sim.Ctx) error {
	words := era.APIRefusals.In(s.era)
	cert, key, err := s.servingPair(c)
	if err != nil {
		return fmt.Errorf("%s%w", words.Pair, err)
	}
	c.Notify(s.opts.cert)
	c.Notify(s.opts.key)
	if s.opts.clientCA != "" {
		ca, err := c.Disk.ReadFile(s.opts.clientCA)
		if err != nil {
			return fmt.Errorf("%s%w", words.ClientCA, err)
		}
		name := "client-ca-bundle::" + s.opts.clientCA
		err = loadable(name, ca)
		if err != nil && words.File {
			err = fmt.Errorf("error reading %s: %s", s.opts.clientCA, words.NoCerts)
		}
		if err != nil {
			return fmt.Errorf("%s%w", words.ClientCA, err)
		}
		s.CA, s.CASeen = ca, ca
		c.Notify(s.opts.clientCA)
		s.log(c, 'I', 0, "dynamic_cafile_content.go:161", sim.KV("Starting controller", "name", name))
		s.logCAs(c, name)
	}
	s.RequestCA = nil
	if s.opts.requestCA != "" {
		ca, err := c.Disk.ReadFile(s.opts.requestCA)
		if err != nil {
			return err
		}
		if err := loadable("request-header::"+s.opts.requestCA, ca); err != nil {
			return err
		}
		s.RequestCA = ca
		c.Notify(s.opts.requestCA)
	}
	s.Tokens = nil
	if s.opts.tokenFile != "" {
		data, err := c.Disk.ReadFile(s.opts.tokenFile)
		if err != nil {
			return fmt.Errorf("%s%w", words.Tokens, err)
		}
		if s.Tokens, err = readTokens(s.opts.tokenFile, data, func(line int, w string) { s.log(c, 'W', 0, fmt.Sprintf("tokenfile.go:%d", line), w) }); err != nil {
			return fmt.Errorf("%s%w", words.Tokens, err)
		}
	}
	if err := s.opts.late(s.era, words); err != nil {
		return err
	}
	if err := s.loadTokenKeys(c); err != nil {
		return err
	}
	if err := s.loadKubeletClient(c); err != nil {
		return err
	}
	if o := s.opts; o.proxyCert != "" && o.proxyKey != "" { // Models kube-aggregator/pkg/apiserver NewWithDelegate
		if _, _, err := loadPair(c.Disk, "aggregator-proxy-cert::"+o.proxyCert+"::"+o.proxyKey, o.proxyCert, o.proxyKey); err != nil {
			return err
		}
	}
	s.listen(c, cert, key)
	return nil
}

// loadTokenKeys reads every --service-account-key-file; they are read once.
func (s *Server) loadTokenKeys(c *sim.Ctx) error {
	s.TokenKeys, s.tokenPool, s.believed = nil, nil, nil
	for _, name := range s.opts.tokenKeys {
		data, err := c.Disk.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := pki.ParsePublicKeys(data); err != nil {
			return fmt.Errorf("error reading public key file %s: %w", name, err)
		}
		s.TokenKeys = append(append(s.TokenKeys, data...), '\n')
	}
	return nil
}

// bootstrap creates the namespaces and RBAC objects that Kubernetes itself
// creates (Models the post-start hooks start-system-namespaces-controller and
// rbac/bootstrap-roles).
func (s *Server) bootstrap(c *sim.Ctx) {
	x := s.itself(c)
	for _, n := range era.SystemNamespaces.In(s.era) {
		x.ensure("namespaces", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}})
	}
	s.publishTrust(x)
	s.publishMaster(c, x)
	s.lookAll(c)
	if slices.Contains(s.opts.modes, "RBAC") {
		x.bootstrapRBAC(s.rbac)
	}
}

// itself is a request of the server's own.
func (s *Server) itself(c *sim.Ctx) *exchange {
	return &exchange{s: s, c: c, r: &sim.Request{}, user: &user{Name: "system:apiserver", Groups: []string{masters}}}
}

// ensure stores an object that is missing, as the server itself: without the
// observations of a request.
func (x *exchange) ensure(plural string, o object) {
	if x.s.store.Get(plural, meta(o).Namespace, meta(o).Name) != nil {
		return
	}
	r := x.s.catalog.of[plural]
	if r == nil {
		return // the release does not serve it
	}
	meta(o).CreationTimestamp = x.now()
	meta(o).UID = types.UID(x.c.Chance.UUID("uid"))
	o.GetObjectKind().SetGroupVersionKind(r.gv().WithKind(r.Kind))
	if r.prepare != nil {
		r.prepare(x, o, nil, "")
	}
	manage(r, o, nil, "", "kube-apiserver", x.now())
	x.s.store.put(r, o)
	x.s.flush(x.c)
}

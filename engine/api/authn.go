package api

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

const (
	anonymous          = "system:anonymous"
	allUnauthenticated = "system:unauthenticated"
	allAuthenticated   = "system:authenticated"
	masters            = "system:masters"
)

// user is who a request comes from.
type user struct {
	Name, UID string
	Groups    []string
	Extra     map[string][]string
	method    string // x509, bootstrap, token-file, serviceaccount, front-proxy, anonymous
}

func (u *user) in(group string) bool { return slices.Contains(u.Groups, group) }

// authenticator looks at one sort of credential: it knows the user, or has an
// error, or has nothing to say.
type authenticator func(s *Server, c *sim.Ctx, r *sim.Request) (*user, error)

// authenticate asks the authenticators in kube-apiserver's order (Models
// pkg/kubeapiserver/authenticator/config.go): the first that knows the user
// wins over errors of others; anonymous is tried only when there is no error.
// nil means 401.
func (s *Server) authenticate(c *sim.Ctx, r *sim.Request) *user {
	var errs []error
	s.refused = refusal{}
	for _, a := range []authenticator{byFrontProxy, byCertificate, byBearer} {
		u, err := a(s, c, r)
		if list, ok := err.(tokenErrors); ok {
			errs = append(errs, list...)
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if u != nil {
			return s.known(c, u)
		}
	}
	if len(errs) == 0 && s.opts.anonymous && !slices.Contains(s.opts.modes, "AlwaysAllow") {
		return s.known(c, &user{Name: anonymous, Groups: []string{allUnauthenticated}, method: "anonymous"})
	}
	args := map[string]string{"verdict": "no", "reason": "no credentials"}
	if len(errs) == 0 {
		s.Counts.Failures++
	} else {
		s.Counts.Errors++
		_, bearer := bearerToken(r)
		err := s.failure(errs, bearer)
		args["reason"] = err.Error()
		at := era.Unauthenticated.In(s.era)
		line := refusal{0, at.Source, fmt.Sprintf(at.Format, err)}
		if at.Format == "" {
			line.Line = sim.KV("Unable to authenticate the request", "err", err)
		}
		s.log(c, 'E', line.V, line.Source, line.Line)
		// Of a bootstrap token another line, which not everyone's log shows,
		// tells more.
		if s.refused.Line != "" {
			line = s.refused
		}
		args["log"], args["v"] = line.Line, strconv.Itoa(line.V)
	}
	c.Note(trace.Authn, "", args, "")
	return nil
}

// failure is all that was wrong with a request's credentials. A bearer token was
// first held against the server's own, which it uses for requests to itself: in old
// releases, where a server is two of them, twice (Models
// apiserver/pkg/server AuthorizeClientBearerToken).
func (s *Server) failure(errs []error, bearer bool) error {
	if !era.NestedErrors.In(s.era) {
		if bearer {
			errs = append([]error{errBearer}, errs...)
		}
		return utilerrors.NewAggregate(errs)
	}
	words := make([]string, len(errs))
	for i, e := range errs {
		words[i] = e.Error()
	}
	text := strings.Join(words, ", ")
	if len(words) > 1 {
		text = "[" + text + "]"
	}
	if bearer {
		text = fmt.Sprintf("[%v, [%[1]v, %s]]", errBearer, text)
	}
	return errors.New(text)
}

// known completes a user with system:authenticated, last, and notes it.
func (s *Server) known(c *sim.Ctx, u *user) *user {
	if !u.in(allAuthenticated) && !u.in(allUnauthenticated) {
		u.Groups = append(slices.Clip(u.Groups), allAuthenticated)
	}
	s.Counts.known(u.Name)
	args := map[string]string{"verdict": "yes", "user": u.Name, "groups": strings.Join(u.Groups, ","), "method": u.method}
	if u.method == "anonymous" {
		args["reason"] = "no credentials"
	}
	c.Note(trace.Authn, u.Name, args, "")
	return u
}

var errBearer = errors.New("invalid bearer token")

// tokenErrors are those of several authenticators.
type tokenErrors []error

func (l tokenErrors) Error() string { return utilerrors.NewAggregate(l).Error() }

// bearerToken is the token of an Authorization header: the word after the first
// space, so that a second space makes it empty.
func bearerToken(r *sim.Request) (string, bool) {
	kind, token, ok := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	token, _, _ = strings.Cut(token, " ")
	return token, ok && strings.EqualFold(kind, "bearer") && token != ""
}

// byBearer tries the token of an Authorization header with each sort of token (Models
// apiserver/pkg/authentication/request/bearertoken).
// No match is an error, so that a wrong token is 401 and not anonymous.
func byBearer(s *Server, c *sim.Ctx, r *sim.Request) (*user, error) {
	token, ok := bearerToken(r)
	if !ok {
		return nil, nil
	}
	u, _, err := s.byToken(c, token, s.apiAudiences())
	if u == nil && err == nil {
		err = errBearer
	}
	if u == nil && era.TokenAuthenticators.In(s.era) {
		var list tokenErrors
		if s.opts.tokenFile != "" {
			list = append(list, errBearer)
		}
		if len(s.opts.tokenKeys) > 0 {
			list = append(list, err)
		}
		if s.opts.bootstrap {
			list = append(list, errBearer)
		}
		return nil, list
	}
	return u, err
}

// byToken finds the user of a bearer token that is for one of the wanted
// audiences, and those that it is for (Models the union in
// pkg/kubeapiserver/authenticator/config.go: who has an error does not keep the
// others from being asked).
func (s *Server) byToken(c *sim.Ctx, token string, wanted []string) (*user, []string, error) {
	// Tokens that name no audience are for the API server.
	of := both(wanted, s.apiAudiences())
	agnostic := len(wanted) == 0 || len(of) > 0
	if agnostic {
		for i := range s.Tokens {
			if t := &s.Tokens[i]; t.Token == token {
				return &user{Name: t.User, UID: t.UID, Groups: t.Groups, method: "token-file"}, of, nil
			}
		}
	}
	u, for_, err := s.byServiceAccountToken(c, token, wanted)
	if u != nil {
		return u, for_, nil
	}
	if agnostic && s.opts.bootstrap {
		if u := s.byBootstrapToken(c, token); u != nil {
			return u, of, nil
		}
	}
	return nil, nil, err
}

package shell

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

const (
	tokenPattern   = `\A([a-z0-9]{6})\.([a-z0-9]{16})\z`
	tokenIDPattern = `\A([a-z0-9]{6})\z`
)

var tokenForm, tokenIDForm = regexp.MustCompile(tokenPattern), regexp.MustCompile(tokenIDPattern)

// bootToken is a bootstrap token. Expires is zero for one without end.
type bootToken struct {
	id, secret, description string
	expires                 time.Time
	usages, groups          []string
}

func (t bootToken) String() string { return t.id + "." + t.secret }

func parseToken(s string) (bootToken, error) {
	m := tokenForm.FindStringSubmatch(s)
	if m == nil {
		return bootToken{}, fmt.Errorf("the bootstrap token %q was not of the form %q", s, tokenPattern)
	}
	return bootToken{id: m[1], secret: m[2]}, nil
}

// drawToken makes a token. Models k8s.io/cluster-bootstrap/token/util
// GenerateBootstrapToken.
func (a *adm) drawToken() bootToken {
	text := a.sys(func(c *sim.Ctx) reply {
		const letters = "0123456789abcdefghijklmnopqrstuvwxyz"
		b := make([]byte, 22)
		for i := range b {
			b[i] = letters[c.Chance.N(c.Host+"/shell/kubeadm-token", uint64(len(letters)))]
		}
		return reply{Text: string(b)}
	}).Text
	return bootToken{id: text[:6], secret: text[6:]}
}

const tokenSecrets = "/api/v1/namespaces/kube-system/secrets"

// object is the token's Secret. Models
// cmd/kubeadm/app/apis/bootstraptoken/v1 BootstrapTokenToSecret.
func (t bootToken) object() object {
	data := map[string]string{"token-id": t.id, "token-secret": t.secret}
	if t.description != "" {
		data["description"] = t.description
	}
	if !t.expires.IsZero() {
		data["expiration"] = t.expires.UTC().Format(time.RFC3339)
	}
	for _, u := range t.usages {
		data["usage-bootstrap-"+u] = "true"
	}
	if len(t.groups) > 0 {
		data["auth-extra-groups"] = strings.Join(t.groups, ",")
	}
	encoded := map[string]any{}
	for k, v := range data {
		encoded[k] = base64.StdEncoding.EncodeToString([]byte(v))
	}
	return object{"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token", "data": encoded,
		"metadata": map[string]any{"name": "bootstrap-token-" + t.id, "namespace": "kube-system"}}
}

// tokenOf reads a token's Secret. Models
// cmd/kubeadm/app/apis/bootstraptoken/v1 BootstrapTokenFromSecret.
func tokenOf(secret object) (bootToken, error) {
	name := secret.text("metadata", "name")
	data := func(key string) string { return string(decode64(secret.text("data", key))) }
	id := data("token-id")
	switch {
	case id == "":
		return bootToken{}, fmt.Errorf("bootstrap Token Secret has no token-id data: %s", name)
	case name != "bootstrap-token-"+id:
		return bootToken{}, fmt.Errorf("bootstrap token name is not of the form '%s(token-id)'. Actual: %q. Expected: %q", "bootstrap-token-", name, "bootstrap-token-"+id)
	case data("token-secret") == "":
		return bootToken{}, fmt.Errorf("bootstrap Token Secret has no token-secret data: %s", name)
	}
	t, err := parseToken(id + "." + data("token-secret"))
	if err != nil {
		return t, fmt.Errorf("bootstrap Token Secret is invalid and couldn't be parsed: %v", err)
	}
	t.description = data("description")
	if x := data("expiration"); x != "" {
		if t.expires, err = time.Parse(time.RFC3339, x); err != nil {
			return t, fmt.Errorf("can't parse expiration time of bootstrap token %q: %v", name, err)
		}
	}
	all, _ := secret.get("data").(map[string]any)
	for _, k := range sortedKeys(all) {
		if u, ok := strings.CutPrefix(k, "usage-bootstrap-"); ok && data(k) == "true" {
			t.usages = append(t.usages, u)
		}
	}
	if g := data("auth-extra-groups"); g != "" {
		t.groups = strings.Split(g, ",")
		slices.Sort(t.groups)
	}
	return t, nil
}

// expiry is when a token of that life ends; the zero time for one without end.
func (a *adm) expiry(ttl time.Duration) time.Time {
	if ttl <= 0 {
		return time.Time{}
	}
	return a.now().Add(ttl)
}

// wanted are the tokens of a configuration, or one that is as the flags say.
func (a *adm) wanted(c *admConfig) ([]bootToken, error) {
	if a.tokens != nil {
		return a.tokens, nil
	}
	plain := bootToken{usages: era.KubeadmTokenUsages.In(a.era()), groups: strings.Fields(era.KubeadmTokenGroup.In(a.era())), expires: a.expiry(era.KubeadmTokenTTL.In(a.era()))}
	var out []bootToken
	for _, x := range c.init.list("bootstrapTokens") {
		m, _ := x.(map[string]any)
		o := object(m)
		t := plain
		if s := o.text("token"); s != "" {
			p, err := parseToken(s)
			if err != nil {
				return nil, err
			}
			t.id, t.secret = p.id, p.secret
		}
		t.description = o.text("description")
		if s := o.text("ttl"); s != "" {
			d, err := time.ParseDuration(s)
			if err != nil {
				return nil, err
			}
			t.expires = a.expiry(d)
		}
		if s := o.text("expires"); s != "" {
			at, err := time.Parse(time.RFC3339, s)
			if err != nil {
				return nil, err
			}
			t.expires = at
		}
		for field, list := range map[string]*[]string{"usages": &t.usages, "groups": &t.groups} {
			if words := o.list(field); words != nil {
				*list = nil
				for _, w := range words {
					*list = append(*list, fmt.Sprint(w))
				}
			}
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		if f := a.f; f.Lookup("token-ttl") != nil && f.config == "" {
			plain.expires = a.expiry(f.ttl)
			if f.token != "" {
				p, err := parseToken(f.token)
				if err != nil {
					return nil, err
				}
				plain.id, plain.secret = p.id, p.secret
			}
		}
		out = append(out, plain)
	}
	for i := range out {
		if out[i].id == "" {
			t := a.drawToken()
			out[i].id, out[i].secret = t.id, t.secret
		}
	}
	a.tokens = out
	return out, nil
}

func tokenCreate(a *adm, args []string) error {
	if err := a.mixed(); err != nil {
		return err
	}
	c, err := a.readConfig("InitConfiguration", "ClusterConfiguration")
	if err != nil {
		return err
	}
	var t bootToken
	if a.f.config != "" {
		list, err := a.wanted(c)
		if err != nil {
			return err
		}
		t = list[0]
	} else {
		if len(args) > 0 {
			if t, err = parseToken(args[0]); err != nil {
				return err
			}
		}
		if err := a.checkToken(); err != nil {
			return err
		}
		if t.id == "" {
			t = a.drawToken()
		}
		t.description, t.usages, t.groups, t.expires = a.f.description, a.f.usages, a.f.groups, a.expiry(a.f.ttl)
	}
	client, config, err := a.adminClient()
	if err != nil {
		return err
	}
	defer client.close()
	if err := client.createToken(t, true); err != nil {
		return err
	}
	if !a.f.printJoin {
		a.printf("%s\n", t)
		return nil
	}
	command, err := a.joinCommand(config, t.String(), a.f.certificateKey, a.f.certificateKey != "")
	if err != nil {
		return fmt.Errorf("failed to get join command: %w", err)
	}
	a.printf("%s\n", strings.NewReplacer("\\\n", "", "\t", "").Replace(command))
	return nil
}

// checkToken is what kubeadm says of usages and groups that can't be.
func (a *adm) checkToken() error {
	known := []string{"authentication", "signing"}
	var invalid, wrong []string
	for _, u := range a.f.usages {
		if !slices.Contains(known, u) {
			invalid = append(invalid, u)
		}
	}
	if invalid != nil {
		slices.Sort(invalid)
		wrong = append(wrong, fmt.Sprintf("bootstrapTokens.0.usages: Invalid value: %q: invalid bootstrap token usage string: %s, valid usage options: %s", a.f.usages, strings.Join(invalid, ","), strings.Join(known, ",")))
	}
	if len(a.f.groups) > 0 && !slices.Contains(a.f.usages, "authentication") {
		wrong = append(wrong, fmt.Sprintf("bootstrapTokens.0.groups: Invalid value: %q: token groups cannot be specified unless --usages includes \"authentication\"", a.f.groups))
	}
	for _, g := range a.f.groups {
		if !groupForm.MatchString(g) {
			wrong = append(wrong, fmt.Sprintf("bootstrapTokens.0.groups: Invalid value: %q: bootstrap group %q is invalid (must match %s)", a.f.groups, g, groupPattern))
		}
	}
	return aggregate(wrong)
}

const groupPattern = `\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z`

var groupForm = regexp.MustCompile(groupPattern)

// createToken stores a token; fresh: none of its id may be there.
func (c *admClient) createToken(t bootToken, fresh bool) error {
	name := "bootstrap-token-" + t.id
	if _, err := c.do("GET", tokenSecrets+"/"+name, nil); err == nil && fresh {
		return fmt.Errorf("a token with id %q already exists", t.id)
	}
	if err := c.put(tokenSecrets, name, t.object()); err != nil {
		return fmt.Errorf("failed to create or update bootstrap token with name %s: %w", name, err)
	}
	return nil
}

func tokenGenerate(a *adm, _ []string) error {
	a.printf("%s\n", a.drawToken())
	return nil
}

func tokenList(a *adm, _ []string) error {
	if a.f.output != "text" {
		return fmt.Errorf("unable to match a printer suitable for the output format %q, allowed formats are: text", a.f.output)
	}
	client, _, err := a.adminClient()
	if err != nil {
		return err
	}
	defer client.close()
	list, err := client.do("GET", tokenSecrets+"?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken", nil)
	if err != nil {
		return fmt.Errorf("failed to list bootstrap tokens: %w", err)
	}
	header := "TOKEN\tTTL\tEXPIRES\tUSAGES\tDESCRIPTION\tEXTRA GROUPS\n"
	for _, x := range list.list("items") {
		m, _ := x.(map[string]any)
		t, err := tokenOf(m)
		if err != nil {
			fmt.Fprintf(a.errs, "%v", err)
			continue
		}
		ttl, expires := "<forever>", "<never>"
		if !t.expires.IsZero() {
			ttl, expires = duration.ShortHumanDuration(t.expires.Sub(a.now())), t.expires.Format(time.RFC3339)
		}
		none := func(s string) string {
			if s == "" {
				return "<none>"
			}
			return s
		}
		// Each token is laid out by itself, with the header before the first.
		w := tabwriter.NewWriter(a.out, 10, 4, 3, ' ', 0)
		fmt.Fprint(w, header)
		header = ""
		fmt.Fprintf(w, "%s\t%-9s\t%s\t%-22s\t%-56s\t%s\n", t, ttl, expires, none(strings.Join(t.usages, ",")), none(t.description), none(strings.Join(t.groups, ",")))
		w.Flush()
	}
	return nil
}

func tokenDelete(a *adm, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("missing argument; 'token delete' is missing token of form [%q]", tokenIDPattern)
	}
	client, _, err := a.adminClient()
	if err != nil {
		return err
	}
	defer client.close()
	for _, id := range args {
		if !tokenIDForm.MatchString(id) {
			t, err := parseToken(id)
			if err != nil {
				return fmt.Errorf("given token %q didn't match pattern %q or %q", id, tokenIDPattern, tokenIDPattern)
			}
			id = t.id
		}
		if _, err := client.do("DELETE", tokenSecrets+"/bootstrap-token-"+id, nil); err != nil {
			return fmt.Errorf("failed to delete bootstrap token %q: %w", id, err)
		}
		a.printf("bootstrap token %q deleted\n", id)
	}
	return nil
}

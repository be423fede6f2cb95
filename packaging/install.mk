# Installing: what goes where. debian/ and packaging/nginx-await.spec install by this, too.

# everything that is installed is in one of these lists
EXECUTABLES := await-worker await-relay await
SCRIPTS     := await-ctl
MANUALS     := await-ctl.1 await-worker.1 await-relay.1 nginx-await.5
# written by hand, in man/
WRITTEN_MANUALS := await.1
UNITS       := await-relay.service await-worker@.service
PAGES       := README.md CHANGES.md CONTRIBUTING.md SECURITY.md docs workers
# of these, the whole directory; what the documentation links to is linked from there
DATA        := sql conf demo client/dist

PREFIX        ?= /usr/local
BINDIR        ?= $(PREFIX)/bin
DATADIR       ?= $(PREFIX)/share/nginx-await
DOCDIR        ?= $(PREFIX)/share/doc/nginx-await
MANDIR        ?= $(PREFIX)/share/man
UNITDIR       ?= $(PREFIX)/lib/systemd/system
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
# where the nginx that is installed looks for modules
MODULES_DIR   ?= $(or $(shell PATH=$$PATH:/usr/sbin nginx -V 2>&1 | sed -n 's/.* --modules-path=\([^ ]*\).*/\1/p'),/usr/lib/nginx/modules)
STRIP         ?= strip
MODULE        ?= $(B)/objs/ngx_http_await_module.so
installer = EXECUTABLES="$(EXECUTABLES)" SCRIPTS="$(SCRIPTS)" MANUALS="$(MANUALS)" WRITTEN_MANUALS="$(WRITTEN_MANUALS)" UNITS="$(UNITS)" PAGES="$(PAGES)" DATA="$(DATA)" \
    BINDIR="$(BINDIR)" DATADIR="$(DATADIR)" DOCDIR="$(DOCDIR)" MANDIR="$(MANDIR)" UNITDIR="$(UNITDIR)" COMPLETIONDIR="$(COMPLETIONDIR)" \
    MODULES_DIR="$(MODULES_DIR)" MODULE="$(MODULE)" DESTDIR="$(DESTDIR)" STRIP="$(STRIP)" B="$(B)" packaging/install

.PHONY: install uninstall install-built man deb rpm install-tests image-tests deps-package deps-rpm deps-images
deps-images:
	@tools/install-deps run images
deps-rpm:
	@tools/install-deps build rpm
deps-package:
	@tools/install-deps build package

## install: what `make build` made, and the documentation, below PREFIX (/usr/local), and the module in MODULES_DIR; DESTDIR=, STRIP=
install: build
	@! command -v lowdown >/dev/null || $(MAKE) --no-print-directory man
	@$(installer) install

## uninstall: removes what `make install` with the same variables has installed
uninstall:
	@$(installer) uninstall

# for packages: what is there, built already
install-built:
	@$(installer) install

## man: the manual pages, made from docs/ and from what --help says
man: programs
	@tools/make-man $(B) $(MANUALS)

## deb: Debian packages in build/deb; DEB_SUFFIX= what is put behind the version
deb: deps-package
	@packaging/make-deb $(B)/deb

## rpm: RPM packages in build/rpm, made by Debian's rpmbuild
rpm: deps-rpm build man
	@packaging/make-rpm $(B)/rpm $(B)

## install-tests: packages in clean chroots of Debian, as root; SUITES=, CHROOTS= where they are kept
SUITES  ?= bookworm trixie
CHROOTS ?= $(B)/chroots
install-tests: deps-chroot
	@for suite in $(SUITES); do packaging/test-in $$suite $(CHROOTS) || exit 1; done

## image-tests: the images of docker/, built by buildah and used, as root; IMAGES= where they are kept, PREBUILT= packages to use, SUITE=
IMAGES ?= $(B)/images
image-tests: deps-images
	@docker/test-images $(IMAGES)

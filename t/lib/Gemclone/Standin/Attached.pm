# SPDX-License-Identifier: Apache-2.0
# A stand-in for Gemini that somebody else has started, and ends: told and asked as any Gemclone::Standin.
package Gemclone::Standin::Attached;
use Mojo::Base 'Gemclone::Standin', -signatures;

# $url is the one of the control API, or the base above it. No process owns it, so none stops it.
sub new ($class, $url) { return $class->attach($url) }

1;

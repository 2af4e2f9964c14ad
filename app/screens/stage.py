"""A net with its title, alive; and walks over it, step by step or played, with a caption that says where one stands."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.message import Message
from textual.reactive import var
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from app.screens.walks import Walk, caption, enabled_at, headline
from app.widgets.net_picture import NetPicture
from engine.nets.model import Net
from engine.nets.picture import Scene

PLAY_EVERY_S = 1.1


class Stage(Vertical):
    """Shows a net as it is, or the walk over it while there is one; `walk` is None then.

    While a walk goes on the picture has the focus, and gives it back in the end. `every_s`: how long it stands on each
    stop while it plays.
    """

    DEFAULT_CSS = """
    Stage {
        & > .stage--title { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & > .stage--caption {
            height: 2; display: none; padding: 0 0 0 1; background: $panel; text-wrap: nowrap; text-overflow: ellipsis;
            link-style: none; link-color: $foreground;
        }
        &.walking > .stage--caption { display: block; }
    }
    """
    walk: var[Walk | None] = var[Walk | None](None, init=False)
    every_s: float = PLAY_EVERY_S

    class Moved(Message):
        """One stands somewhere else, or the walk has begun or ended."""

    def __init__(self, *, empty: str, listed: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._picture = NetPicture(empty=empty, listed=listed, id="picture")
        self._title, self._net, self._scene = Content(), Net((), (), {}), Scene()
        self._playing: Timer | None = None
        self._came_from: Widget | None = None

    def compose(self) -> ComposeResult:
        yield Static(classes="stage--title", id="net-title")
        yield self._picture
        yield Static(classes="stage--caption", id="caption")

    # -- what is shown ------------------------------------------------------------------------------------------------

    def show(self, net: Net, scene: Scene) -> None:
        """The net as it is now; seen when no walk goes on."""
        self._net, self._scene = net, scene
        if self.walk is None and net.places:
            self._picture.show(net, scene)

    def entitle(self, title: Content) -> None:
        self._title = title
        if self.walk is None:
            self.query_one("#net-title", Static).update(title)

    @property
    def moves(self) -> bool:
        """Whether motion is wanted."""
        return not self._picture.reduced_motion and self.app.animation_level != "none"

    # -- walking ------------------------------------------------------------------------------------------------------

    def begin(self, walk: Walk, *, play: bool = False) -> None:
        """Walk this way, from the stop that it stands on. It plays by itself only where motion is wanted."""
        if self.walk is None:
            self._came_from = self.screen.focused
        self.pause()
        self.walk = walk
        self._picture.focus()
        if play and self.moves:
            self.play()
        self._tell()

    def refit(self, walk: Walk) -> None:
        """The same walk, after what it goes over has changed."""
        self.walk = walk
        self._tell()

    def leave(self) -> bool:
        """Back to the net as it is; whether there was a walk."""
        if self.walk is None:
            return False
        self.pause()
        self.walk = None
        if self._came_from is not None and self._came_from.is_attached and self._came_from.can_focus:
            self._came_from.focus()
        self._came_from = None
        self._tell()
        return True

    def step(self, step: int) -> bool:
        """One stop on or back; whether there is one."""
        before = self.walk
        if before is None:
            return False
        after = before.moved(step)
        if after == before:
            return False
        if step > 0 and after.here.transition:
            self._picture.play_firing(after.here.transition, after.here.source)
        self.walk = after
        self._tell()
        return True

    def toggle(self) -> None:
        """Play, from the beginning when the end is reached; or pause."""
        if self._playing is not None:
            self.pause()
        elif self.walk is not None:
            if self.walk.ended:
                self.walk = self.walk.moved(-len(self.walk.stops))
            self.play()
        self._tell()

    def play(self) -> None:
        if self._playing is None:
            self._playing = self.set_interval(self.every_s, self._play_on)

    def pause(self) -> None:
        if self._playing is not None:
            self._playing.stop()
            self._playing = None

    def _play_on(self) -> None:
        if not self.step(1) or (self.walk is not None and self.walk.ended):
            self.pause()
            self._tell()

    @property
    def playing(self) -> bool:
        return self._playing is not None

    def _tell(self) -> None:
        """Show the walk, and say that it has moved."""
        walk, places = self.walk, self._net.place_ids
        self._picture.walked = walk is not None
        self.set_class(walk is not None, "walking")
        self.set_class(walk is not None and walk.kind == "trial", "trying")
        try:
            title, words = self.query_one("#net-title", Static), self.query_one("#caption", Static)
        except NoMatches:  # on its way out
            return
        if walk is None:
            title.update(self._title)
            self._picture.show(self._net, self._scene)
        else:
            title.update(headline(walk))
            words.update(caption(walk, places, self.playing))
            known = {place: count for place, count in walk.here.marking.items() if place in self._net.place_ids}
            self._picture.show(self._net, Scene(known, enabled_at(walk, self._net)))
        self._picture.call_after_refresh(self._picture.bring_into_view)
        self.post_message(self.Moved())
